"""The messages of Prometheus' client_model (metrics.proto), built with protobuf from their public field numbers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

LABEL = {"optional": 1, "repeated": 3}
TYPES = {
    "double": 1,
    "int64": 3,
    "uint64": 4,
    "string": 9,
    "message": 11,
    "uint32": 13,
    "enum": 14,
    "sint32": 17,
    "sint64": 18,
}
PACKAGE = "io.prometheus.client"
ENUM = ("COUNTER", "GAUGE", "SUMMARY", "UNTYPED", "HISTOGRAM", "GAUGE_HISTOGRAM")
MESSAGES: dict[str, tuple[tuple[int, str, str, str], ...]] = {
    "LabelPair": ((1, "optional", "string", "name"), (2, "optional", "string", "value")),
    "Gauge": ((1, "optional", "double", "value"),),
    "Counter": ((1, "optional", "double", "value"),),
    "Quantile": ((1, "optional", "double", "quantile"), (2, "optional", "double", "value")),
    "Summary": (
        (1, "optional", "uint64", "sample_count"),
        (2, "optional", "double", "sample_sum"),
        (3, "repeated", "Quantile", "quantile"),
    ),
    "BucketSpan": ((1, "optional", "sint32", "offset"), (2, "optional", "uint32", "length")),
    "Bucket": ((1, "optional", "uint64", "cumulative_count"), (2, "optional", "double", "upper_bound")),
    "Histogram": (
        (1, "optional", "uint64", "sample_count"),
        (2, "optional", "double", "sample_sum"),
        (3, "repeated", "Bucket", "bucket"),
        (5, "optional", "sint32", "schema"),
        (6, "optional", "double", "zero_threshold"),
        (7, "optional", "uint64", "zero_count"),
        (12, "repeated", "BucketSpan", "positive_span"),
        (13, "repeated", "sint64", "positive_delta"),
    ),
    "Metric": (
        (1, "repeated", "LabelPair", "label"),
        (2, "optional", "Gauge", "gauge"),
        (3, "optional", "Counter", "counter"),
        (4, "optional", "Summary", "summary"),
        (7, "optional", "Histogram", "histogram"),
    ),
    "MetricFamily": (
        (1, "optional", "string", "name"),
        (2, "optional", "string", "help"),
        (3, "optional", "MetricType", "type"),
        (4, "repeated", "Metric", "metric"),
    ),
}


def build_class() -> Any:
    """The class MetricFamily. Its package is another one than client_model's, whose descriptor may be loaded too."""
    descriptor_pb2: Any = import_module("google.protobuf.descriptor_pb2")
    pool: Any = import_module("google.protobuf.descriptor_pool").DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="metrics.proto", package=PACKAGE, syntax="proto2")
    kinds = file.enum_type.add(name="MetricType")
    for number, name in enumerate(ENUM):
        kinds.value.add(name=name, number=number)
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for number, label, type_name, name in fields:
            kind = TYPES.get(type_name, TYPES["enum" if type_name == "MetricType" else "message"])
            field = described.field.add(name=name, number=number, label=LABEL[label], type=kind)
            if type_name not in TYPES:
                field.type_name = f".{PACKAGE}.{type_name}"
            if name == "positive_delta":
                field.options.packed = True
    pool.Add(file)
    factory: Any = import_module("google.protobuf.message_factory")
    return factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.MetricFamily"))


MetricFamily = build_class()


def parse_delimited(body: bytes) -> list[Any]:
    """The families of an exposition; fails if a byte is left, or a field is unknown to the descriptor."""
    found = []
    while body:
        length = shift = 0
        while True:
            byte, body = body[0], body[1:]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        message, body = body[:length], body[length:]
        family = MetricFamily.FromString(message)
        assert len(message) == length
        assert family.SerializeToString(deterministic=True) == message, "another order, or unknown fields"
        found.append(family)
    return found
