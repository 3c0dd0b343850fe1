"""The exceptions that JSON decoders raise for bad input.

Untrusted text may be malformed, nested too deeply, or not UTF-8.
"""

from __future__ import annotations

import msgspec

NOT_DECODABLE = (msgspec.DecodeError, ValueError, RecursionError)
