"""What the API answers, as values. Everything else in the answers is left alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cloche.autogen.errors import NotPublishedError, RefusedError, UpstreamError
from cloche.autogen.github.api import Api

_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/@~-]*")  # what SRC_URI can hold
_ADDRESS = re.compile(r"https?://[^\s\"'<>$`\\|()]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository, and the tag that is wanted; None: the newest."""

    owner: str
    name: str
    tag: str | None = None

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Project:
    """A repository as it describes itself; ``page`` is its address for people."""

    full_name: str
    page: str
    description: str
    homepage: str | None
    spdx: str | None
    archived: bool

    @property
    def name(self) -> str:
        """Its name without its owner's."""
        return self.full_name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a release; ``sha256`` is None where GitHub did not state one."""

    name: str
    uri: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Release:
    """A release, not a draft."""

    tag: str
    prerelease: bool
    assets: tuple[Asset, ...] = ()


def wanted(text: str) -> Wanted:
    """Read ``OWNER/REPO``, ``OWNER/REPO@TAG`` or an address. Raises `RefusedError`."""
    plain = re.sub(r"^https?://(?:www\.)?github\.com/", "", text)
    plain, at, tag = plain.partition("@")
    owner, _, name = plain.strip("/").removesuffix(".git").partition("/")
    if not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name) or name in (".", ".."):
        what = f"“{text}” is not a repository of GitHub"
        raise RefusedError(what, todo="give OWNER/REPO or OWNER/REPO@TAG")
    if at and not is_plain(tag):
        what = f"“{tag}” is not a tag that an ebuild can name"
        raise RefusedError(what, where=f"{owner}/{name}", todo="give OWNER/REPO@TAG")
    return Wanted(owner, name, tag or None)


def is_plain(text: str) -> bool:
    """Whether a tag or a file's name can stand in SRC_URI as it is."""
    return _PLAIN.fullmatch(text) is not None and ".." not in text


def project(api: Api, name: Wanted) -> Project:
    """The repository. Raises `NotPublishedError`, `UpstreamError`."""
    try:
        data = api.one(f"repos/{name}")
    except NotPublishedError as error:
        error.what = f"GitHub has no repository {name} ({error.what})"
        raise
    full, page = _text(data, "full_name"), _text(data, "html_url")
    if wanted(full).tag is not None or not _ADDRESS.fullmatch(page):
        raise _odd("full_name, html_url")
    named = data.get("license")
    spdx = named.get("spdx_id") if isinstance(named, dict) else None
    home = data.get("homepage")
    usable = isinstance(home, str) and _ADDRESS.fullmatch(home.strip())
    return Project(
        full,
        page,
        str(data.get("description") or ""),
        home.strip().rstrip("/?") if usable else None,
        spdx if isinstance(spdx, str) and spdx not in ("", "NOASSERTION") else None,
        data.get("archived") is True,
    )


def releases(api: Api, full_name: str) -> tuple[Release, ...]:
    """The releases that are not drafts, the newest first. Raises `UpstreamError`."""
    found = []
    for each in api.all(f"repos/{full_name}/releases"):
        tag = _text(each, "tag_name")
        if each.get("draft") is not True:
            assets = each.get("assets") or []
            if not isinstance(assets, list):
                raise _odd("assets")
            usable = [_asset(one) for one in assets if _is_uploaded(one)]
            found.append(Release(tag, each.get("prerelease") is True, tuple(usable)))
    return tuple(found)


def tags(api: Api, full_name: str) -> tuple[str, ...]:
    """The names of all tags. Raises `UpstreamError`."""
    return tuple(_text(each, "name") for each in api.all(f"repos/{full_name}/tags"))


def commit_of(api: Api, full_name: str, tag: str) -> str:
    """The commit that a tag names. Raises `NotPublishedError`, `UpstreamError`."""
    found = _text(api.one(f"repos/{full_name}/commits/{quote(f'tags/{tag}', safe='')}"), "sha")
    if not re.fullmatch(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", found):
        raise _odd("sha")
    return found


def _is_uploaded(data: Any) -> bool:
    return isinstance(data, dict) and data.get("state", "uploaded") == "uploaded"


def _asset(data: Any) -> Asset:
    uri, size, digest = _text(data, "browser_download_url"), data.get("size"), data.get("digest")
    if not isinstance(size, int) or not _ADDRESS.fullmatch(uri):
        raise _odd("size, browser_download_url")
    kind, _, value = digest.partition(":") if isinstance(digest, str) else ("", "", "")
    strong = kind == "sha256" and re.fullmatch(r"[0-9a-f]{64}", value.lower())
    return Asset(_text(data, "name"), uri, size, value.lower() if strong else None)


def _text(data: Any, key: str) -> str:
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, str) or not value:
        raise _odd(key)
    return value


def _odd(key: str) -> UpstreamError:
    what = f"the API's answer has no usable {key}"
    return UpstreamError(what, todo="run it again; check the API's address")
