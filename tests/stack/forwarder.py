"""Hands a request to moto, in this process, after ministack has authenticated and authorised it.

moto has no port of its own: there is no way around IAM.
"""

import threading
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import EnvironBuilder, run_wsgi_app

Response = tuple[int, dict[str, str], bytes]

_moto = DomainDispatcherApplication(create_backend_app)
# moto keeps its state in plain dictionaries: one request at a time.
lock = threading.RLock()


def ask_moto(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Response:
    """One request, answered by moto; the region and the service are those of the credential scope."""
    kept = {name: value for name, value in headers.items() if name not in ("content-length", "transfer-encoding")}
    # moto reads a form as the parameters of a Query API; Route 53 speaks XML, whatever the client calls it.
    if "/route53/" in headers.get("authorization", ""):
        kept["content-type"] = "text/xml"
    environ: dict[str, Any] = EnvironBuilder(
        path=path, method=method, headers=list(kept.items()), input_stream=BytesIO(body), query_string=urlencode(query, doseq=True)
    ).get_environ()
    environ["CONTENT_LENGTH"] = str(len(body))
    with lock:
        chunks, status, answered = run_wsgi_app(_moto, environ, buffered=True)
        payload = b"".join(chunks)
    return int(status.split()[0]), {name: value for name, value in answered.items() if name.lower() != "content-length"}, payload
