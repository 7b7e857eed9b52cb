"""Takes SIEM events apart with readers that are not Ledgerstone's.

siem.py FOLDER: the folder has one file of lines for each format, and expected.json with what each line must say. Prints how many
events of each format were right; ends with 1 at the first that is not.
"""

import hashlib
import json
import pathlib
import re
import sys

import jsonschema
import pycef
from google.protobuf import json_format
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from syslog_rfc5424_parser import SyslogMessage

FOLDER = pathlib.Path(sys.argv[1])
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
SCHEMA = OcsfJsonSchemaEmbedded(get_ocsf_schema(version="1.8.0"))
CLASSES = {6003: "api_activity", 2004: "detection_finding", 6002: "application_lifecycle"}
SEVERITIES = ["Informational", "Low", "Medium", "High", "Critical"]
validators = {}


def lines(name):
    # Only a line feed ends a line: other separators would show that a text broke out.
    text = (FOLDER / f"{name}.txt").read_bytes().decode()
    found = text.split("\n")[:-1]
    assert len(found) == len(EXPECTED), f"{name}: {len(found)} lines for {len(EXPECTED)} events"
    for line in found:
        assert not any(ord(c) < 32 and c != "\t" or 127 <= ord(c) < 160 for c in line), f"{name}: {line!r}"
    return found


def attributes(expected):
    return {k.split(":", 1)[1]: v for k, v in expected.items() if k.startswith("attribute:")}


def text(value):
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def check_ocsf(event, expected, is_plain):
    class_uid, profiles = event["class_uid"], tuple(event["metadata"].get("profiles", []))
    if is_plain:
        key = (class_uid, profiles)
        if key not in validators:
            schema = SCHEMA.get_class_schema(class_name=CLASSES[class_uid], profiles=list(profiles))
            validators[key] = jsonschema.Draft202012Validator(schema)
        errors = sorted(validators[key].iter_errors(event), key=str)
        assert not errors, f"{expected['kind']}: {errors[0].message} at {list(errors[0].path)}"
        assert event["metadata"]["version"] == "1.8.0"
    # The schema takes any type_uid and any caption, so these are checked here.
    assert event["type_uid"] == class_uid * 100 + event["activity_id"], event["type_uid"]
    assert event["category_uid"] == class_uid // 1000
    assert event["severity"] == SEVERITIES[event["severity_id"] - 1]
    assert (class_uid == 2004) == expected["kind"].startswith("alert.") == event.get("is_alert", False)
    assert event["metadata"]["uid"] == expected["event_id"] and event["time"] == int(expected["time"])
    assert {k: text(v) for k, v in event["unmapped"].items()} == attributes(expected)
    assert ("ai_operation" in profiles) == ("ai_model" in event)


def check_integrity(event, expected):
    assert event["metadata"]["version"] == "1.9.0-dev" and "record_integrity" in event["metadata"]["profiles"]
    [attestation] = event["attestation_list"]
    fingerprint = attestation.pop("fingerprint")
    # RFC 8785 for events whose names are ASCII and whose numbers are whole.
    canonical = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert fingerprint["value"] == hashlib.sha256(canonical.encode()).hexdigest(), expected["kind"]
    assert (fingerprint["algorithm_id"], fingerprint["serialization_id"], fingerprint["encoding_id"]) == (3, 2, 1)
    assert attestation["chain_uid"] == expected["attribute:log_id"]


def camel(name):
    return "ledgerstone" + "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def check_cef(line, expected):
    found = pycef.parse(line)
    assert found, line
    assert found["DeviceEventClassID"] == expected["kind"] and found["Name"] == expected["title"], found
    assert found["externalId"] == expected["event_id"] and found["rt"] == expected["time"]
    standard = {"writer": "dvchost", "operator": "suser", "detail": "reason"}
    custom = {"log_id": "logId", "leaf_hash": "leafHash", "leaf_index": "leafIndex", "tree_size": "treeSize",
              "model_digest": "modelDigest", "policy_digest": "policyDigest", "mode": "mode", "session": "session",
              "sequence": "sequence"}
    for name, value in attributes(expected).items():
        key = standard.get(name) or custom.get(name) or camel(name)
        # pycef leaves escapes of backslashes and equals signs as they are, and trims blanks.
        plain = re.sub(r"\\([\\=])", r"\1", found[key])
        assert plain.strip() == value.strip(), f"{expected['kind']}: {key} is {plain!r}, not {value!r}"


def check_syslog(line, expected, is_plain):
    message = SyslogMessage.parse(line)
    assert message.msgid == expected["kind"] and message.appname == "ledgerstone"
    assert message.facility.value == 13, message.facility
    # The parser leaves the escapes of RFC 5424, section 6.3.3, as they are.
    data = {k: re.sub(r'\\(["\\\]])', r"\1", v) for k, v in message.sd["ledgerstone@32473"].items()}
    assert data.pop("event_id") == expected["event_id"]
    wanted = attributes(expected)
    if is_plain:
        assert data == wanted, f"{expected['kind']}: {data}\n{wanted}"
        assert message.msg == expected["title"]
    else:
        assert data == {k: wanted[k] for k in data} and "log_id" in data
    return message.msg


def check_otlp(line, expected):
    request = json_format.Parse(line, ExportLogsServiceRequest())
    [record] = request.resource_logs[0].scope_logs[0].log_records
    assert record.event_name == "ledgerstone." + expected["kind"]
    assert record.time_unix_nano == int(expected["time"]) * 1_000_000
    assert 1 <= record.severity_number <= 24
    def value(one):
        return text(getattr(one, one.WhichOneof("value")))
    found = {a.key: value(a.value) for a in record.attributes}
    assert found.pop("log.record.uid") == expected["event_id"]
    assert found == {"ledgerstone." + k: v for k, v in attributes(expected).items()}


def main():
    def each(name, check):
        for line, expected in zip(lines(name), EXPECTED):
            check(line, expected)
        print(f"{name}: {len(EXPECTED)} events")

    each("ocsf", lambda line, expected: check_ocsf(json.loads(line), expected, True))

    def integrity(line, expected):
        check_ocsf(json.loads(line), expected, False)
        check_integrity(json.loads(line), expected)

    each("ocsf-integrity", integrity)
    each("cef", check_cef)
    each("syslog-plain", lambda line, expected: check_syslog(line, expected, True))
    each("syslog-cef", lambda line, expected: check_cef(check_syslog(line, expected, False), expected))
    each("syslog-ocsf", lambda line, expected: check_ocsf(json.loads(check_syslog(line, expected, False)), expected, True))
    each("otlp", check_otlp)


main()
