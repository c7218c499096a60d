"""Remote write 1.0 and 2.0 without dependencies: protobuf and snappy by hand, so that the same bytes go to every receiver."""

import json
import struct
import urllib.error
import urllib.request

VERSION_1 = ("application/x-protobuf", "0.1.0")
VERSION_2 = ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0")
RESET_HINTS = {"unknown": 0, "yes": 1, "no": 2, "gauge": 3}
KIND_HISTOGRAM = 3


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number):
    return varint(number << 1 ^ number >> 63)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def label(name, value):
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def double(number, value):
    return varint(number << 3 | 1) + struct.pack("<d", value)


def double_bits(number, bits):
    """A double given as its 64 bits, so that NaN payloads stay what they are."""
    return varint(number << 3 | 1) + struct.pack("<Q", bits)


def integer(number, value):
    return varint(number << 3) + varint(value)


def signed(number, value):
    return varint(number << 3) + zigzag(value)


def sample(timestamp_ms, bits, start_ms=0):
    """One sample; the value as its 64 bits, and where 2.0 carries it the time its series started to count."""
    return field(2, double_bits(1, bits) + integer(2, timestamp_ms) + (integer(3, start_ms) if start_ms else b""))


def series(labels, samples):
    """One series of 1.0; `labels` a dictionary, `samples` pairs of milliseconds and value bits."""
    body = b"".join(label(name, labels[name]) for name in sorted(labels))
    return field(1, body + b"".join(sample(ms, bits) for ms, bits in samples))


def buckets(counts, is_float, spans_field, deltas_field, counts_field):
    """Buckets as a dictionary of index and count; spans are the runs of indexes."""
    spans, values, next_index, previous = [], [], 0, 0
    packed = b""
    for index in sorted(counts):
        if spans and index == next_index:
            spans[-1][1] += 1
        else:
            spans.append([index - next_index, 1])
        next_index = index + 1
        values.append(counts[index])
    out = b"".join(field(spans_field, signed(1, offset) + integer(2, length)) for offset, length in spans)
    for value in values:
        packed += struct.pack("<d", value) if is_float else zigzag(value - previous)
        previous = value
    return out + (field(counts_field if is_float else deltas_field, packed) if values else b"")


def histogram(number, ms, one, start_ms=0):
    """A native histogram: `schema`, `zero_threshold`, `zero`, `negative`, `positive`, `sum_bits`, `hint`, `custom`, `is_float`."""
    is_float = one["is_float"]
    count = one["zero"] + sum(one["negative"].values()) + sum(one["positive"].values())
    body = double(2, count) if is_float else integer(1, count)
    body += double_bits(3, one["sum_bits"]) + signed(4, one["schema"]) + double(5, one["zero_threshold"])
    body += double(7, one["zero"]) if is_float else integer(6, one["zero"])
    body += buckets(one["negative"], is_float, 8, 9, 10) + buckets(one["positive"], is_float, 11, 12, 13)
    body += integer(14, RESET_HINTS[one["hint"]]) + integer(15, ms)
    if one["custom"]:
        body += field(16, b"".join(struct.pack("<d", bound) for bound in one["custom"]))
    body += integer(17, start_ms) if start_ms else b""
    return field(number, body)


class Request2:
    """A request of 2.0, series by series; texts stand once, in a table."""

    def __init__(self):
        self.symbols, self.body = {"": 0}, b""

    def references(self, labels):
        texts = (text for name in sorted(labels) for text in (name, labels[name]))
        return b"".join(varint(self.symbols.setdefault(text, len(self.symbols))) for text in texts)

    def add(self, labels, samples=(), histograms=(), exemplars=()):
        """`samples` are milliseconds and value bits, `histograms` milliseconds and histogram, either with the time of the start
        or without; `exemplars` are labels, value, milliseconds."""
        body = field(1, self.references(labels))
        body += b"".join(sample(*one) for one in samples)
        body += b"".join(histogram(3, *one) for one in histograms)
        body += b"".join(field(4, field(1, self.references(own)) + double(2, value) + integer(3, ms)) for own, value, ms in exemplars)
        if histograms:
            body += field(5, integer(1, KIND_HISTOGRAM))
        self.body += field(5, body)

    def message(self):
        return b"".join(field(4, text.encode()) for text in self.symbols) + self.body


def otlp(everything):
    """The same series as a request of OTLP in JSON: Prometheus' remote write 2.0 leaves the times of starts away."""
    metrics = [{"resource": {"attributes": [attribute("service.name", labels["job"]), attribute("service.instance.id", labels["instance"])]},
                "scopeMetrics": [{"metrics": [otlp_metric(labels, samples, histograms)]}]} for labels, samples, histograms in everything]
    return {"resourceMetrics": metrics}


def attribute(name, value):
    return {"key": name, "value": {"stringValue": value}}


def otlp_metric(labels, samples, histograms):
    own = [attribute(name, value) for name, value in labels.items() if name not in ("__name__", "job", "instance")]
    times = lambda ms, start_ms: {"attributes": own, "timeUnixNano": str(ms * 1_000_000), "startTimeUnixNano": str(start_ms * 1_000_000)}
    if samples:
        value = lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
        points = [times(ms, start_ms) | {"asDouble": value(bits)} for ms, bits, start_ms in samples]
        return {"name": labels["__name__"], "sum": {"aggregationTemporality": 2, "isMonotonic": True, "dataPoints": points}}
    points = [times(ms, start_ms) | otlp_histogram(one) for ms, one, start_ms in histograms]
    return {"name": labels["__name__"], "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": points}}


def otlp_histogram(one):
    count = one["zero"] + sum(one["negative"].values()) + sum(one["positive"].values())
    total, = struct.unpack("<d", struct.pack("<Q", one["sum_bits"]))
    return {"count": str(count), "sum": total, "scale": one["schema"], "zeroCount": str(one["zero"]), "zeroThreshold": one["zero_threshold"],
            "positive": otlp_buckets(one["positive"]), "negative": otlp_buckets(one["negative"])}


def otlp_buckets(counts):
    if not counts:
        return {"offset": 0, "bucketCounts": []}
    # OTLP numbers a bucket by its lower bound, native histograms by the upper one.
    first, last = min(counts), max(counts)
    return {"offset": first - 1, "bucketCounts": [str(counts.get(index, 0)) for index in range(first, last + 1)]}


def push_json(url, document):
    """Sends a JSON document; raises with the receiver's words where it refuses."""
    request = urllib.request.Request(url, data=json.dumps(document).encode(), headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url}: {error.code} {error.read()[:500]!r}") from error


def snappy(data):
    """Valid snappy that packs nothing: literals only."""
    out = bytearray(varint(len(data)))
    for start in range(0, len(data), 65536):
        piece = data[start:start + 65536]
        out += bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def push(url, body, version=VERSION_1):
    """Sends a request of remote write; raises with the receiver's words where it refuses."""
    content_type, number = version
    request = urllib.request.Request(url, data=snappy(body), method="POST", headers={
        "Content-Type": content_type,
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": number,
    })
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url}: {error.code} {error.read()[:500]!r}") from error
