"""Extended attributes as text: ACLs as in acl(5), capabilities as in cap_from_text(3).

The kernel's forms are those of linux/posix_acl_xattr.h and linux/capability.h.
"""

from __future__ import annotations

import re
import struct

ACL_ACCESS = b"system.posix_acl_access"
ACL_DEFAULT = b"system.posix_acl_default"
CAPABILITY = b"security.capability"

_TAGS = {"user": (1, 2), "group": (4, 8), "mask": (0x10, 0), "other": (0x20, 0)}
_WORDS = {1: "user", 2: "user", 4: "group", 8: "group", 0x10: "mask", 0x20: "other"}
_RIGHTS = (("r", 4), ("w", 2), ("x", 1))
_NOBODY = 0xFFFFFFFF
_EFFECTIVE = 1
_CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid",
    "setpcap", "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw",
    "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct",
    "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod",
    "lease", "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog",
    "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf", "checkpoint_restore",
)  # fmt: skip


def acl_from_text(text: str) -> bytes:
    """The kernel's form of an ACL. Owners are numbers, in the second or, as star has it, the fourth
    field.

    Raises ValueError for anything else: names belong to another system.
    """
    entries = []
    for line in re.split(r"[,\n]", text):
        if not (entry := line.partition("#")[0].strip()):
            continue
        word, _, rest = entry.partition(":")
        owner, _, rest = rest.partition(":")
        rights, _, number = rest.partition(":")
        plain, named = _TAGS[_whole(word)]
        if set(rights) - set("rwx-") or (owner and not named):
            raise ValueError(entry)
        bits = sum(bit for letter, bit in _RIGHTS if letter in rights)
        id = int(number or owner) if owner else _NOBODY
        if not 0 <= id <= _NOBODY:
            raise ValueError(entry)
        entries.append((named if owner else plain, bits, id))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in sorted(entries))


def _whole(word: str) -> str:
    for known in _TAGS:
        if word and known.startswith(word):
            return known
    raise ValueError(word)


def acl_to_text(value: bytes) -> str:
    """An ACL of the kernel's form as text. Raises ValueError and struct.error."""
    if struct.unpack_from("<I", value)[0] != 2:
        raise ValueError("unknown version of an ACL")
    entries = []
    for tag, bits, id in struct.iter_unpack("<HHI", value[4:]):
        if tag not in _WORDS:
            raise ValueError(tag)
        rights = "".join(letter if bits & bit else "-" for letter, bit in _RIGHTS)
        entries.append(f"{_WORDS[tag]}:{'' if id == _NOBODY else id}:{rights}")
    return ",".join(entries)


def capability_to_text(value: bytes) -> str:
    """The capabilities of a file as text. Raises ValueError and struct.error."""
    magic, *words = struct.unpack(f"<{len(value) // 4}I", value)
    revision = magic >> 24
    if (revision, len(words)) not in ((1, 2), (2, 4), (3, 5)):
        raise ValueError("unknown version of capabilities")
    flags = "e" if magic & _EFFECTIVE else ""
    permitted = words[0] | (words[2] << 32 if revision > 1 else 0)
    inheritable = words[1] | (words[3] << 32 if revision > 1 else 0)
    parts = []
    for letters, bits in (
        (flags + "ip", permitted & inheritable),
        (flags + "p", permitted & ~inheritable),
        (flags + "i", inheritable & ~permitted),
    ):
        if names := [_capability(n) for n in range(64) if bits >> n & 1]:
            parts.append(f"{','.join(names)}={letters}")
    owner = [f"[rootid={words[4]}]"] if revision == 3 else []
    return " ".join(parts + owner) or "="


def _capability(number: int) -> str:
    return f"cap_{_CAPABILITIES[number]}" if number < len(_CAPABILITIES) else str(number)


def xattr_text(name: bytes, value: bytes) -> str:
    """The value of any extended attribute, readable."""
    try:
        if name == CAPABILITY:
            return capability_to_text(value)
        if name in (ACL_ACCESS, ACL_DEFAULT):
            return acl_to_text(value)
    except (ValueError, struct.error):
        return value.hex()
    text = value.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else value.hex()
