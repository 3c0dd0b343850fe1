"""What decoders of JSON raise for bad input. Ground floor.

Every text from outside may be nested too deeply, or not be UTF-8, as well as malformed.
"""

from __future__ import annotations

import msgspec

NOT_DECODABLE = (msgspec.DecodeError, ValueError, RecursionError)
