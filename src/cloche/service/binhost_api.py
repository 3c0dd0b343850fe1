"""The binary package host of each target, for a stock emerge (portage(5), binrepos.conf)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from cloche.service.auth import Authenticated, visible_target
from cloche.service.core import service_of
from cloche.service.index import is_unmodified
from cloche.service.openapi import TOKEN, answers
from cloche.service.problems import not_found
from cloche.service.ranged import file_response
from cloche.service.values import Token

routes = APIRouter(prefix="/t/{target_id}", tags=["binhost"])
_GPKG = "application/x-tar"
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
_Name = Annotated[str, Path(max_length=255)]


def _documented(kind: Any, media: str, *more: int) -> dict[str, Any]:
    found = answers(kind, *TOKEN, *more, media=media)
    found["responses"][304] = {"description": "Not Modified"}
    return found


def _index(request: Request, target_id: str, token: Token, *, packed: bool) -> Response:
    service, target = service_of(request), visible_target(request, token, target_id)
    service.look_after(target)
    index, asked = service.indexes.of(target), request.headers
    headers = {
        "ETag": index.etag_of(packed),
        "Last-Modified": index.modified,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization",
    }
    etag = headers["ETag"]
    if is_unmodified(index.stamp, etag, asked.get("if-none-match"), asked.get("if-modified-since")):
        return Response(None, 304, headers)
    media = "application/gzip" if packed else "text/plain; charset=utf-8"
    return Response(index.packed if packed else index.plain, 200, headers, media)


@routes.head("/Packages", include_in_schema=False)
@routes.get("/Packages", **_documented(str, "text/plain"))
async def packages(request: Request, target_id: str, token: Authenticated) -> Response:
    """The index of a target: the packages that its Portage takes and that fit its level."""
    return _index(request, target_id, token, packed=False)


@routes.head("/Packages.gz", include_in_schema=False)
@routes.get("/Packages.gz", **_documented(_BINARY, "application/gzip"))
async def packed_packages(request: Request, target_id: str, token: Authenticated) -> Response:
    """The same index, compressed."""
    return _index(request, target_id, token, packed=True)


@routes.get("/Packages.asc", **_documented(str, "application/pgp-signature"))
async def signature(request: Request, target_id: str, token: Authenticated) -> Response:
    """A detached signature of the index, if the service signs."""
    service, target = service_of(request), visible_target(request, token, target_id)
    signed = await service.indexes.signature(target)
    if signed is None:
        raise not_found("the service does not sign")
    return Response(signed, media_type="application/pgp-signature")


@routes.head("/{category}/{name}/{file}", include_in_schema=False)
@routes.get("/{category}/{name}/{file}", **_documented(_BINARY, _GPKG, 416))
async def package(
    request: Request,
    target_id: str,
    category: _Name,
    name: _Name,
    file: _Name,
    token: Authenticated,
) -> Response:
    """A package that is offered to the target."""
    service, target = service_of(request), visible_target(request, token, target_id)
    found = service.database.package_at(f"{category}/{name}/{file}")
    if found is None:
        raise not_found("no such package")
    if not service.database.is_offered(target.digest, found.id):
        raise not_found("no such package")
    service.note_use(found)
    place = service.settings.state.pool / found.path
    # Rack::Sendfile's header: the proxy sends files. Others get the file itself.
    sends = request.headers.get("x-sendfile-type", "").lower() == "x-accel-redirect"
    if service.settings.accel is not None and sends:
        headers = {"X-Accel-Redirect": f"{service.settings.accel.rstrip('/')}/{found.path}"}
        return Response(None, 200, headers, _GPKG)
    try:
        return file_response(place, _GPKG, request.headers, request.method)
    except FileNotFoundError:
        raise not_found("the package was removed") from None
