"""The forms of single values in `trunkline.yaml`, and what every section of it has in common.

What a value must look like is checked in `values`; which sections there are is in `schema`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, SecretStr, model_validator

from trunkline.config import values
from trunkline.meters import url as redis_url
from trunkline.store import url as store_url

Duration = Annotated[float, PlainValidator(values.duration, json_schema_input_type=float | str)]
DurationOrZero = Annotated[float, PlainValidator(values.duration_or_zero, json_schema_input_type=float | str)]
Retention = Annotated[int, PlainValidator(values.retention, json_schema_input_type=str)]
Size = Annotated[int, PlainValidator(values.size, json_schema_input_type=int | str)]
Share = Annotated[float, PlainValidator(values.share, json_schema_input_type=float | str)]
Dollars = Annotated[int, PlainValidator(values.dollars, json_schema_input_type=float | str)]
Portion = Annotated[int, PlainValidator(values.portion, json_schema_input_type=float | str)]
Moment = Annotated[int, PlainValidator(values.moment, json_schema_input_type=str)]
Glob = Annotated[str, PlainValidator(values.glob, json_schema_input_type=str)]
Count = Annotated[int, PlainValidator(values.count, json_schema_input_type=int | str)]
ListenAddress = Annotated[values.Address, PlainValidator(values.address, json_schema_input_type=str)]
BaseUrl = Annotated[values.Endpoint, PlainValidator(values.endpoint, json_schema_input_type=str)]
CorsOrigin = Annotated[str, PlainValidator(values.origin, json_schema_input_type=str)]
Slug = Annotated[str, PlainValidator(values.slug, json_schema_input_type=str)]
ModelName = Annotated[str, PlainValidator(values.model, json_schema_input_type=str)]
HeaderName = Annotated[str, PlainValidator(values.header_name, json_schema_input_type=str)]
Label = Annotated[str, PlainValidator(values.label, json_schema_input_type=str)]
Project = Annotated[str, PlainValidator(values.project, json_schema_input_type=str | int)]
ApiVersion = Annotated[str, PlainValidator(values.api_version, json_schema_input_type=str)]
Beta = Annotated[str, PlainValidator(values.beta, json_schema_input_type=str)]


def _hidden(check: Any) -> Any:
    """A validator whose result does not show itself."""
    return PlainValidator(lambda value: SecretStr(check(value)), json_schema_input_type=str)


ApiKey = Annotated[SecretStr, _hidden(values.api_key)]
ClientSecret = Annotated[SecretStr, _hidden(values.client_secret)]
HeaderValue = Annotated[SecretStr, _hidden(values.header_value)]
Digest = Annotated[bytes, PlainValidator(values.digest, json_schema_input_type=str)]


def _proxy(value: object) -> values.ProxyAddress | Literal["none"]:
    return "none" if value == "none" else values.proxy(value)


ProxyUrl = Annotated[values.ProxyAddress | Literal["none"], PlainValidator(_proxy, json_schema_input_type=str)]

StoreAddress = Annotated[store_url.StoreUrl, PlainValidator(store_url.parse, json_schema_input_type=str)]
RedisAddress = Annotated[redis_url.RedisUrl, PlainValidator(redis_url.parse, json_schema_input_type=str)]
RedisPrefix = Annotated[str, PlainValidator(redis_url.prefix, json_schema_input_type=str)]


def blank_too(schema: dict[str, Any]) -> None:
    """In the JSON Schema, a section that may be left blank."""
    if "required" not in schema:
        schema["type"] = [schema["type"], "null"]


class Section(BaseModel):
    """A mapping that takes its fields and no others; an empty one may be left blank."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True, json_schema_extra=blank_too
    )

    @model_validator(mode="before")
    @classmethod
    def _blank(cls, value: Any) -> Any:
        return {} if value is None else value


def or_empty(empty: type[dict[Any, Any] | list[Any]]) -> BeforeValidator:
    """A mapping or list that may be left blank."""
    return BeforeValidator(lambda value: empty() if value is None else value)


def _once(value: Any) -> Any:
    names = [str(name).lower() for name in value] if isinstance(value, dict) else []
    if len(names) != len(set(names)):
        raise ValueError("two header names differ only in their case")
    return value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Dialects = Annotated[tuple[str, ...], BeforeValidator(_several, json_schema_input_type=str | list[str])]
Headers = Annotated[dict[HeaderName, HeaderValue], BeforeValidator(_once), or_empty(dict)]
