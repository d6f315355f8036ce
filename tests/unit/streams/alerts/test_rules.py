"""The file of rules: what it may say, where a mistake in it is told to be, and which rule holds."""

from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.problems import RootCause
from streams.alerts.fingerprint import Fields
from streams.alerts.rule import Rule, Threshold
from streams.alerts.rules import Rules
from streams.alerts.toml_lines import line_of
from tests.kit.problem_examples import occurrence
from tracelink.errors import UserError

EXAMPLE = """\
[fingerprint]
add = ["httpStatus", "tags.tenant"]
ignore = ["operation"]

[[rule]]
name = "payments"
match = { service = "payment*", exception = "*Timeout*" }
severity = "critical"
threshold = { count = 50, window = "1m" }
labels = { team = "payments" }
runbook = "https://wiki.example.org/payments"
mute = { until = 2026-12-01T00:00:00Z }
"""
FINGERPRINT = "00deadbeef00cafe"


def rules(text: str) -> Rules:
    return Rules.parse(text.encode(), Path("rules.toml"))


def mistakes(text: str | bytes) -> list[str]:
    with pytest.raises(UserError) as raised:
        Rules.parse(text if isinstance(text, bytes) else text.encode(), Path("rules.toml"))
    return raised.value.message.splitlines()


def origin(**fields: object) -> RootCause:
    return cast("RootCause", {**occurrence(), **fields})


def in_rule(line: str) -> str:
    return f'[[rule]]\nname = "a"\n{line}\n'


def test_each_key_of_the_example_counts() -> None:
    found = rules(EXAMPLE)
    assert found.fingerprint == Fields(("httpStatus", "tags.tenant"), frozenset({"operation"}))
    assert found.match(origin(service="payment-eu", exception="ReadTimeout"), FINGERPRINT) == Rule(
        name="payments",
        severity="critical",
        threshold=Threshold(50, 60_000),
        labels={"team": "payments"},
        runbook="https://wiki.example.org/payments",
        muted_until=1_796_083_200_000,
    )
    assert len(found) == 1


@pytest.mark.parametrize("content", [b"", b"\n# nothing yet\n", b"\xef\xbb\xbf"])
def test_an_empty_file_gives_the_defaults(content: bytes) -> None:
    found = Rules.parse(content, Path("rules.toml"))
    assert found.match(origin(), FINGERPRINT) == Rule() == Rules().match(origin(), FINGERPRINT)
    assert found.fingerprint == Fields() == Rules().fingerprint


def test_the_example_of_the_documentation_is_right() -> None:
    page = (Path(__file__).parents[4] / "docs" / "rules.md").read_text()
    found = rules(page.partition("```toml\n")[2].partition("```")[0])
    assert found.match(origin(exception="ReadTimeoutError"), FINGERPRINT).name == "payments"
    assert found.match(origin(service="search", httpStatus="503"), FINGERPRINT).muted_until == 1_796_083_200_000


def test_the_first_rule_that_matches_holds() -> None:
    found = rules(
        '[[rule]]\nname = "a"\nmatch.service = "shop"\n'
        '[[rule]]\nname = "b"\nmatch.service = "pay*"\n'
        '[[rule]]\nname = "c"\n'
    )
    names = [found.match(origin(service=service), FINGERPRINT).name for service in ("shop", "pay", "payment", "cart")]
    assert names == ["a", "b", "b", "c"]


@pytest.mark.parametrize(
    ("match", "fields", "holds"),
    [
        ('service = "payment"', {}, True),
        ('service = "pay"', {}, False),
        ('service = "Payment"', {}, False),
        ('service = ["shop", "p?y*"]', {}, True),
        ('service = "*"', {"service": None}, False),
        ('service = "*"', {"service": ""}, True),
        ('service = "[!p]*"', {}, False),
        ('operation = "POST *"', {}, True),
        ('operation = "POST *"', {"operation": "POST /a\nb"}, True),
        ('exception = "*Declined"', {}, True),
        ('exception = "*Declined"', {"exception": None}, False),
        ('fingerprint = "00dead*"', {}, True),
        ('fingerprint = ["1*", "2*"]', {}, False),
        ('status = "50[24]"', {}, True),
        ("status = [500, 502]", {}, True),
        ("status = 504", {}, False),
        ('status = "UNAVAILABLE"', {"grpcStatus": "UNAVAILABLE"}, True),
        ('status = "5*"', {"httpStatus": None}, False),
        ('logger = "payment.*"', {}, True),
        ('logger = "payment.*"', {"logger": None}, False),
        ('"tags.tenant" = "ac*"', {}, True),
        ('tags.tenant = "ac*"', {}, True),
        ('tags.tenant = "*"', {"tags": {}}, False),
        ('"tags.http.route" = "/pay"', {"tags": {"http.route": "/pay"}}, True),
        ('tags.http.route = "/pay"', {"tags": {"http.route": "/pay"}}, True),
        ('service = "payment", status = 404', {}, False),
        ('service = "payment", status = 502', {}, True),
        ("", {}, True),
    ],
)
def test_all_that_is_given_must_match_whole_and_in_its_case(match: str, fields: dict[str, object], holds: bool) -> None:  # noqa: FBT001 - a column
    found = rules(in_rule(f"match = {{ {match} }}"))
    assert (found.match(origin(**fields), FINGERPRINT).name == "a") is holds


def test_what_is_remembered_of_one_problem_is_not_said_of_another() -> None:
    found = rules(in_rule('match = { fingerprint = "a*", "tags.tenant" = "acme" }'))
    for _ in range(2):
        assert found.match(origin(), "a1").name == "a"
        assert found.match(origin(), "b1").name is None
        assert found.match(origin(tags={"tenant": "other"}), "a1").name is None
        assert found.match(origin(tags={}), "a1").name is None


@pytest.mark.parametrize(
    ("window", "milliseconds"),
    [
        ('"30s"', 30_000),
        ('"5m"', 300_000),
        ('"24h"', 86_400_000),
        ('"2d"', 172_800_000),
        ('"1.5m"', 90_000),
        ('" 5 m "', 300_000),
        ("90", 90_000),
        ("1.5", 1_500),
    ],
)
def test_durations_have_a_unit_or_are_in_seconds(window: str, milliseconds: int) -> None:
    found = rules(in_rule(f"threshold = {{ count = 1, window = {window} }}"))
    assert found.match(origin(), FINGERPRINT).threshold == Threshold(1, milliseconds)


_TABLE = 'must be a table such as { name = "value" }'
_DURATION = 'must be a duration such as "30s", "5m" or "24h", or a number of seconds'
_PATTERN = 'must be a pattern such as "payment*", or a list of patterns'
_LABEL = "is not a valid label name: letters, digits and _, without a digit or __ at the start"
_URL = 'must be a URL that begins with "http://" or "https://"'
_MOMENT = "must be a date and time without quotes, such as 2026-12-01T00:00:00Z"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("threshold = { count = 0, window = 60 }", "threshold.count: must be at least 1"),
        ("threshold = { count = 1.5, window = 60 }", "threshold.count: must be a whole number"),
        ("threshold = { count = true, window = 60 }", "threshold.count: must be a whole number"),
        ('threshold = { count = "5", window = 60 }', "threshold.count: must be a whole number"),
        ("threshold = { count = 5 }", 'threshold.window: is missing: write threshold = { count = 50, window = "1m" }'),
        ("threshold = 5", f"threshold: {_TABLE}"),
        ('threshold = { count = 1, window = "1 week" }', f"threshold.window: {_DURATION}"),
        ("threshold = { count = 1, window = nan }", f"threshold.window: {_DURATION}"),
        ("threshold = { count = 1, window = true }", f"threshold.window: {_DURATION}"),
        ("threshold = { count = 1, window = 0.5 }", "threshold.window: must be at least 1s and at most 31d"),
        ("threshold = { count = 1, window = inf }", "threshold.window: must be at least 1s and at most 31d"),
        ('severity = "warn"', "severity: must be one of info, warning, error, critical; did you mean warning?"),
        ("severity = 1", "severity: must be one of info, warning, error, critical"),
        ("match = { service = 3 }", f"match.service: {_PATTERN}"),
        ("match = { service = [] }", f"match.service: {_PATTERN}"),
        ('match = { service = "" }', f"match.service: {_PATTERN}"),
        (
            "match = { status = true }",
            'match.status: must be a status such as 503, "5*" or "UNAVAILABLE", or a list of them',
        ),
        ("match = { tags = 3 }", f"match.tags: {_TABLE}"),
        ("match = { tags.a.b = 3 }", f'match.tags."a.b": {_PATTERN}'),
        ('match = { "tags.a.b" = 3 }', f'match.tags."a.b": {_PATTERN}'),
        ('match = { tag.a = "x" }', "match.tag: is not a key here; did you mean tags?"),
        ('match = { "tag.a" = "x" }', 'match."tag.a": is not a key here; did you mean tags?'),
        ('match = { severity = "info" }', "match.severity: is not a key here, but one of rule"),
        ('match = "payment"', f"match: {_TABLE}"),
        ('treshold = "x"', "treshold: is not a key here; did you mean threshold?"),
        ("labels = { severity = 'x' }", "labels.severity: is set by tracelink itself: choose another name"),
        ("labels = { fingerprint = 'x' }", "labels.fingerprint: is set by tracelink itself: choose another name"),
        ("labels = { 9a = 'x' }", f"labels.9a: {_LABEL}"),
        ("labels = { __a = 'x' }", f"labels.__a: {_LABEL}"),
        ('labels = { "a.b" = "x" }', f'labels."a.b": {_LABEL}'),
        ('labels = { "a\\n" = "x" }', f'labels."a\\n": {_LABEL}'),
        ("labels = { a = 1 }", "labels.a: must be a text in quotes"),
        ("labels = { a = '' }", "labels.a: must not be empty"),
        ("runbook = 'ftp://a/b'", f"runbook: {_URL}"),
        ("runbook = 'https://'", f"runbook: {_URL}"),
        ("runbook = 'https://a b'", f"runbook: {_URL}"),
        ("runbook = 'http://[a'", "runbook: is not a URL: Invalid IPv6 URL"),
        ("runbook = 3", f"runbook: {_URL}"),
        ("mute = {}", "mute.until: is missing: a mute needs an end, such as until = 2026-12-01T00:00:00Z"),
        (
            "mute.until = 2026-12-01T00:00:00",
            "mute.until: needs an offset: 2026-12-01T00:00:00Z, or one such as +01:00 in place of the Z",
        ),
        ("mute.until = 2026-12-01", f"mute.until: {_MOMENT}"),
        ('mute.until = "2026-12-01T00:00:00Z"', f"mute.until: {_MOMENT}"),
    ],
)
def test_a_mistake_is_told_with_its_line_its_key_and_what_must_stand_there(line: str, said: str) -> None:
    assert mistakes(in_rule(line)) == [f"rules.toml:3: rule[1].{said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]]\n", 'rules.toml:1: rule[1].name: is missing: give each rule one, such as name = "payments"'),
        ("[[rule]]\nname = ''\n", "rules.toml:2: rule[1].name: must not be empty"),
        ("[rule]\nname = 'a'\n", "rules.toml:1: rule: must be a list: write [[rule]], in two brackets"),
        ("\n[[rules]]\n", "rules.toml:2: rules: is not a key here; did you mean rule?"),
        ("name = 'a'\n", "rules.toml:1: name: is not a key here, but one of rule"),
        (
            "[fingerprint]\nadd = ['peer', 'operation']\n",
            (
                "rules.toml:2: fingerprint.add[2]: must be one of grpcStatus, httpStatus, logger, peer, tags.NAME, "
                "not 'operation'"
            ),
        ),
        (
            "[fingerprint]\n\nadd = ['tags.']\n",
            (
                "rules.toml:3: fingerprint.add[1]: must be one of grpcStatus, httpStatus, logger, peer, tags.NAME, "
                "not 'tags.'; did you mean tags.NAME?"
            ),
        ),
        (
            "fingerprint.ignore = ['mesage']\n",
            (
                "rules.toml:1: fingerprint.ignore[1]: must be one of exception, message, operation, service, "
                "not 'mesage'; did you mean message?"
            ),
        ),
        ("fingerprint.ignore = 'message'\n", "rules.toml:1: fingerprint.ignore: must be a list"),
        (
            "fingerprint.ignore = ['service', 'operation', 'exception', 'message']\n",
            "rules.toml:1: fingerprint.ignore: leaves no field for fingerprints: ignore fewer, or add some",
        ),
        ("a = 1\nb = = 2\n", "rules.toml:2: Invalid value (column 5)"),
        ("a = 1\na = 2\n", "rules.toml:2: Cannot overwrite a value (column 6)"),
        ("a = [1,\n2\n", "rules.toml:2: Unclosed array, and the file ends"),
        (b"a = 1\nb = '\xff'\n", "rules.toml:2: is not UTF-8: save the file in that encoding."),
        ("a = " + "[" * 5000, "rules.toml:1: nests too deeply"),
    ],
)
def test_a_mistake_outside_of_a_rule_is_told_as_well(text: str | bytes, said: str) -> None:
    assert mistakes(text) == [said]


def test_a_tag_is_found_however_it_is_quoted() -> None:
    for tags in ('"tags.a.b" = 1\n"tags.a.c" = 2', "tags.a.b = 1\ntags.a.c = 2", 'tags."a.b" = 1\ntags."a.c" = 2'):
        found = mistakes(in_rule(f"[rule.match]\n{tags}"))
        assert [line.rpartition(": ")[0] for line in found] == [
            'rules.toml:4: rule[1].match.tags."a.b"',
            'rules.toml:5: rule[1].match.tags."a.c"',
        ]


def test_two_rules_of_one_name_are_refused_at_the_second() -> None:
    text = in_rule("") + '[[rule]]\nname = "b"\n' + '[[rule]]\nname = "a"\n'
    assert mistakes(text) == ["rules.toml:7: rule[3].name: 'a' is the name of rule[1], too: rename one"]


def test_all_mistakes_are_told_in_the_order_of_their_lines() -> None:
    text = '[[rule]]\nname = "a"\nmute = {}\nmatch = 3\n[[rule]]\nname = 3\n[other]\n'
    assert [line.split(":")[1] for line in mistakes(text)] == ["3", "4", "6", "7"]


def test_lines_are_counted_alike_with_windows_line_ends_and_a_byte_order_mark() -> None:
    text = "\ufeff" + in_rule("threshold = { count = 0, window = 60 }").replace("\n", "\r\n")
    assert mistakes(text) == ["rules.toml:3: rule[1].threshold.count: must be at least 1"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "gone.toml", "No such file or directory")):
        with pytest.raises(UserError, match=f"Cannot read the rules in .*: {why}"):
            Rules.load(path)


def test_a_path_is_found_at_the_line_that_begins_its_value() -> None:
    text = """\
# [[rule]]
a = 1  # b = 2
list = [
  "x",  # a comment
  "]",
]
text = '''
[[rule]]
name = "not here"
'''
dotted.one.two = 3

[[rule]]
name = "first"

[rule.match]
service = "x"

[[rule]]
match = { tags = { "a.b" = 1 } }
"tags.a" = 2"""
    lines = {
        ("a",): 2,
        ("list",): 3,
        ("list", 1): 3,
        ("text",): 7,
        ("dotted", "one", "two"): 11,
        ("rule", 0): 13,
        ("rule", 0, "name"): 14,
        ("rule", 0, "match"): 16,
        ("rule", 0, "match", "service"): 17,
        ("rule", 1, "match", "tags", "a.b"): 20,
        ("rule", 1, "tags.a"): 21,
        # What is missing is looked for where it would stand.
        ("rule", 0, "match", "operation"): 16,
        ("rule", 1, "name"): 19,
        ("nothing", "of", "it"): None,
        (): None,
    }
    assert {path: line_of(text, path) for path in lines} == lines
    assert line_of(text, ("rule", 1, "tags", "a"), ("rule", 1, "tags.a")) == 21


@given(
    st.lists(st.sampled_from(["# x", "", "l = [\n 1,\n 2\n]", "t = '''\na = 9\n'''", "u.v = { w = 1 }"]), max_size=8)
)
def test_a_key_is_found_whatever_stands_before_it(before: list[str]) -> None:
    text = "".join(f"[x{number}]\n{statement}\n" for number, statement in enumerate(before)) + "[y]\nkey = 1\n"
    assert line_of(text, ("y", "key")) == len(text.splitlines())
