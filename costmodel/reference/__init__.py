"""Independent ways of knowing a cost: real torch models and convolutions done by hand.

Nothing here is generated from `costmodel.zoo` or reads the core: agreement is the point.
"""
