"""Define the blob trigger's parameter: the name of a blob, never its content.

For an `InputStream` the host reads the whole blob and sends it to the worker, which then holds it several
times before our code has seen its size. For a type that the worker knows as an SDK type it sends a reference.
Microsoft's own such type (BlobClient of azurefunctions-extensions-bindings-blob) imports the storage and
identity SDKs at every cold start; this one imports a small package, which the worker needs anyway.
"""

from __future__ import annotations

import json
from typing import Any

from azurefunctions.extensions.base import Datum, InConverter, SdkType


class NamedBlob(SdkType):  # type: ignore[misc]
    """The name of a blob in the trigger's container."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class NamedBlobConverter(InConverter, binding="blob", trigger="blobTrigger"):  # type: ignore[misc, call-arg]
    """A converter of the host's reference to a `NamedBlob`; the worker finds it by its base class."""

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Return whether this class makes parameters of a type."""
        return issubclass(pytype, NamedBlob)

    @classmethod
    def decode(cls, data: Datum, *, trigger_metadata: object, pytype: type) -> Any:
        """Return the parameter's value. Raises ValueError, which quotes no data, if it is no reference."""
        if data is None or data.type != "model_binding_data":
            raise ValueError("the host sent no reference to a blob")
        return NamedBlob(str(json.loads(data.value.content)["BlobName"]))
