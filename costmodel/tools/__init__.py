"""What other cost tools count, and why it differs: a file a tool, and the list of them."""

from costmodel.tools.calflops import CALFLOPS, CALFLOPS_FLOPS
from costmodel.tools.convention import Tool
from costmodel.tools.flop_counter import FLOP_COUNTER
from costmodel.tools.fvcore import FVCORE
from costmodel.tools.paper import PAPER
from costmodel.tools.ptflops import PTFLOPS, PTFLOPS_ATEN
from costmodel.tools.thop import THOP
from costmodel.tools.torchinfo import TORCHINFO
from costmodel.tools.torchprofile import TORCHPROFILE

#: Every tool there is, in the order in which they are shown.
TOOLS: tuple[Tool, ...] = (
    *(PAPER, FVCORE, FLOP_COUNTER, THOP, PTFLOPS, PTFLOPS_ATEN, TORCHINFO, TORCHPROFILE),
    *(CALFLOPS, CALFLOPS_FLOPS),
)
