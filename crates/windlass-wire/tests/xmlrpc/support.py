"""Reads a job in JSON on standard input, answers in JSON. Documents are in base64."""

import base64
import decimal
import json
import struct
import sys
import xmlrpc.client as x


def tagged(value):
    """The value with its types; `values.rs` prints the same."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"double": "nan" if value != value else struct.pack(">d", value).hex()}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, x.DateTime):
        return {"date": value.value}
    if isinstance(value, x.Binary):
        return {"bytes": list(value.data)}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": list(value)}
    if isinstance(value, (list, tuple)):
        return [tagged(v) for v in value]
    if isinstance(value, dict):
        return {"struct": [[name, tagged(v)] for name, v in value.items()]}
    raise TypeError(type(value))


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode("utf-8")).decode()


def read(document):
    """What Python reads, and the same written again by Python where it can."""
    try:
        values, method = x.loads(base64.b64decode(document))
        found = {"method": method, "values": [tagged(v) for v in values]}
    except x.Fault as fault:
        return {"fault": [fault.faultCode, fault.faultString]}
    except Exception as error:  # whatever the reader raises is a refusal
        return {"error": f"{type(error).__name__}: {error}"}
    try:
        found["again"] = b64(x.dumps(tuple(values), "again", allow_none=True))
    except (OverflowError, TypeError):
        pass
    return found


def written():
    """Calls, responses and faults as Python writes them, each with what it says."""
    class Plain:
        def __init__(self):
            self.a, self.b = 1, ["two"]

    import datetime

    cyrillic = "Привет"
    values = [
        0, 1, -1, 2**31 - 1, -(2**31), True, False, None,
        0.0, -0.0, 1.5, 1e100, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"),
        "", " ", "a\tb\nc ", "<tag attr='\"'>&amp;]]>", "ünï \u4000 \U0001f600", "\u007f\u0085\u2028",
        b"", b"\x00\x01\xff" * 50, bytearray(b"barr"), x.Binary(b"my cat is asleep"),
        x.DateTime("20240229T23:59:59"), x.DateTime((2005, 2, 10, 11, 41, 23, 0, 1, -1)),
        datetime.datetime(1, 2, 10, 11, 41, 23), datetime.datetime(2024, 12, 31, 23, 59, 59, 999),
        [], [[]], [[[1], "a"], {}], (1, 2), {}, {"": {"": []}}, {"a": 1, "b": {"c": [None, True]}},
        {"<&>": "<&>"}, {"ключ": "значение", " spaced ": 1}, Plain(),
        {"project": "template", "trunk": True, "action": "install", "env": "test"},
    ]
    out = []

    def add(kind, document, said):
        out.append({"kind": kind, "document": b64(document), "said": said})

    def said(value):
        if isinstance(value, datetime.datetime):
            return {"date": x._strftime(value)}
        if isinstance(value, Plain):
            return tagged(value.__dict__)
        return tagged(value)

    for value in values:
        add("call", x.dumps((value,), "m", allow_none=True), {"method": "m", "values": [said(value)]})
        add("response", x.dumps((value,), methodresponse=True, allow_none=True), {"values": [said(value)]})
    add("call", x.dumps(tuple(values), "all", allow_none=True), {"method": "all", "values": [said(v) for v in values]})
    add("call", x.dumps((), "none.at-all:x/y"), {"method": "none.at-all:x/y", "values": []})
    for encoding, text in [
        ("utf-8", cyrillic), ("iso-8859-1", "\xe9\x80\xff"), ("iso-8859-15", "\u20ac\xe9"), ("us-ascii", "plain"),
        ("windows-1252", "\u20ac\u201cx\u201d"), ("utf-16", cyrillic), ("koi8-r", cyrillic), ("windows-1251", cyrillic),
    ]:
        document = x.dumps((text, {text: 1}), "m", encoding=encoding)
        add("call", document.encode(encoding, "xmlcharrefreplace"), {"method": "m", "values": [text, tagged({text: 1})]})
    for code, text in [(42, "Test Fault"), (-32700, "a < b & ü"), (0, "")]:
        add("fault", x.dumps(x.Fault(code, text)), {"fault": [code, text]})
    batch = x.MultiCall(None)
    batch.add(1, 2)
    batch.system.listMethods()
    calls = [{"methodName": name, "params": args} for name, args in batch._MultiCall__call_list]
    add("call", x.dumps((calls,), "system.multicall"), {"method": "system.multicall", "values": [tagged(calls)]})
    return out


def main():
    job = json.load(sys.stdin)
    json.dump(written() if job is None else [read(document) for document in job], sys.stdout)


main()
