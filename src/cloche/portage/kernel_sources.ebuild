# Written by cloche for the [kernel] of a machine: no other command knows this repository.
EAPI=8

DESCRIPTION="Virtual for Linux kernel sources: the kernel that cloche builds for the machine"
SLOT="0"
KEYWORDS="@KEYWORDS@"
RDEPEND="=@BUILD@"
