"""What the blob trigger hands over: the name of a blob, never its content.

For an `InputStream` the host reads the whole blob and sends it to the worker, which then holds it several
times before our code has seen its size. For a type that the worker knows as an SDK type it sends a reference.
Microsoft's own such type (BlobClient of azurefunctions-extensions-bindings-blob) costs the import of the
storage and identity SDKs at every cold start; this one that of a small package, which the worker loads too.
"""

from __future__ import annotations

import json
from typing import Any

from azurefunctions.extensions.base import Datum, InConverter, SdkType


class NamedBlob(SdkType):  # type: ignore[misc]
    """A blob by its name in the trigger's container."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class NamedBlobConverter(InConverter, binding="blob", trigger="blobTrigger"):  # type: ignore[misc, call-arg]
    """Makes it from the reference that the host sends; the worker finds this class by its base."""

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Whether a parameter's type is made here."""
        return issubclass(pytype, NamedBlob)

    @classmethod
    def decode(cls, data: Datum, *, trigger_metadata: object, pytype: type) -> Any:
        """The parameter's value. Raises ValueError for what is no reference; the message quotes nothing."""
        if data is None or data.type != "model_binding_data":
            raise ValueError("the host sent no reference to a blob")
        return NamedBlob(str(json.loads(data.value.content)["BlobName"]))
