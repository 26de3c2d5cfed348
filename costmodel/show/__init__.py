"""What people see of a network: rows, tables, formulas."""
