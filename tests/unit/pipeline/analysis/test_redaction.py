"""Redaction: what is a secret, what is none, and what stays readable around one."""

import json
import re
from base64 import b64encode
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.redaction import KINDS, Redactor
from pipeline.analysis.secret_patterns import MARK
from pipeline.settings import RedactionSettings
from tracelink.errors import UserError

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N"
BASIC = b64encode(b"bob:hunter2").decode()
KEY_BLOCK = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAKC\n-----END RSA PRIVATE KEY-----"

redactor = Redactor()
NAMED = Redactor(own_names=["a", "*s"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login password=hunter2 failed", "login password=[redacted] failed"),
        ("login (password=hunter2) failed", "login (password=[redacted]) failed"),
        ("DB_PASSWORD: hunter2", "DB_PASSWORD: [redacted]"),
        ("pwd: 'hunter 2', user: bob", "pwd: '[redacted]', user: bob"),
        ('{"password":"hun\\"ter2","user":"bob"}', '{"password":"[redacted]","user":"bob"}'),
        (r'{"body":"{\"password\":\"hunter2\",\"n\":1}"}', r'{"body":"{\"password\":\"[redacted]\",\"n\":1}"}'),
        ("{'Passwd': b'hunter2'}", "{'Passwd': b'[redacted]'}"),
        ("<password>hunter2</password>", "<password>[redacted]</password>"),
        ("POST /login?user=bob&pwd=hunter2&next=1", "POST /login?user=bob&pwd=[redacted]&next=1"),
        ("body user%3Dbob&password%3Dhunter2", "body user%3Dbob&password%3D[redacted]"),
        ('password="never closed\nnext line', 'password="[redacted]\nnext line'),
        ("postgres://app:hun@ter2@db:5432/shop", "postgres://app:[redacted]@db:5432/shop"),
        ("redis://:hunter2@cache.example.com/0", "redis://:[redacted]@cache.example.com/0"),
        ("Authorization: Bearer abc.123 accept: */*", "Authorization: Bearer [redacted] accept: */*"),
        ("authorization=Custom abc123 and on", "authorization=[redacted] and on"),
        ("{'Authorization': 'Bearer abc'}", "{'Authorization': '[redacted]'}"),
        (f"header Basic {BASIC}", "header Basic [redacted]"),
        ("sent bearer a1b2c3d4e5", "sent bearer [redacted]"),
        (f"decoded {JWT}, expired", "decoded [redacted], expired"),
        ("x-api-key: k1 of bob", "x-api-key: [redacted] of bob"),
        ("apiKey=k1&accessToken=t1", "apiKey=[redacted]&accessToken=[redacted]"),
        ("client_secret = s1;", "client_secret = [redacted];"),
        ("Cookie: sid=abc; theme=dark\nnext", "Cookie: [redacted]\nnext"),
        ("uses AKIAIOSFODNN7EXAMPLE now", "uses [redacted] now"),
        ("both AKIAIOSFODNN7EXAMPLEAKIAIOSFODNN7EXAMPLE", "both [redacted][redacted]"),
        ("push with ghp_0123456789abcdefABCDEF0123456789abcd", "push with [redacted]"),
        ("slack xoxb-1234567890-abcdef", "slack [redacted]"),
        (f"loaded {KEY_BLOCK} of bob", "loaded [redacted] of bob"),
        (f'password="{KEY_BLOCK}" of bob', 'password="[redacted]" of bob'),
        ("mail to jürgen.b+x@mail.example.com.", "mail to [redacted]."),
        ("card 4111 1111 1111 1111 12/29", "card [redacted] 12/29"),
        ("card 4111-1111-1111-1111 123", "card [redacted] 123"),
        ("2026 5500005555555559 of 378282246310005", "2026 [redacted] of [redacted]"),
        ('{"Authorization":["Bearer abc.def.ghi12"]}', '{"Authorization":["[redacted]"]}'),
        ("map[Authorization:[Bearer 0123456789abcdef]] on", "map[Authorization:[[redacted]]] on"),
        ("{authorization=[Bearer abcdef0123456789]}, on", "{authorization=[[redacted]]}, on"),
        ('{"password":["a b","c]d"],"n":1}', '{"password":["[redacted]"],"n":1}'),
        (r"{\"password\":[ \"a\", \"b\" ],\"n\":1}", r"{\"password\":[ \"[redacted]\" ],\"n\":1}"),
        ('{"secret":[["a"],["b"],5],"n":1}', '{"secret":[[redacted]],"n":1}'),
        ('"secret": [\n  "a b",\n  "c"\n], "n"', '"secret": [\n  "[redacted]"\n], "n"'),
        ("password=[never closed\nnext line", "password=[redacted]\nnext line"),
        ("password=[ab]c12 of bob", "password=[redacted] of bob"),
        ('"set-cookie":["sid=x1","tok=def2"],"n":1', '"set-cookie":["[redacted]"],"n":1'),
        ('"tokens":["ab","cd"],"passwords":"hunter"', '"tokens":["[redacted]"],"passwords":"[redacted]"'),
        ("tokens=hunter2; passwords: hunter2", "tokens=[redacted]; passwords: [redacted]"),
        ("password_hash=$2b$12$ab secret_key_base: ab", "password_hash=[redacted] secret_key_base: [redacted]"),
        ("dbPass=hunter2 userPass: hunter2", "dbPass=[redacted] userPass: [redacted]"),
        ("password:        hunter2", "password:        [redacted]"),
        ("mysql --db-password hunter2 -v --token 't 1'", "mysql --db-password [redacted] -v --token '[redacted]'"),
        ("['mysql', '--password', 'hunter2', 'shop']", "['mysql', '--password', '[redacted]', 'shop']"),
        ("curl -u admin:hunter2 http://cart", "curl -u admin:[redacted] http://cart"),
        ("curl --user 'admin:hunter2' http://cart", "curl --user 'admin:[redacted]' http://cart"),
        ("GET /a?sig=abcd%2Fefgh%3D&n=1", "GET /a?sig=[redacted]&n=1"),
        ("GET /a?X-Amz-Signature=0123abcd&n=1", "GET /a?X-Amz-Signature=[redacted]&n=1"),
        ("JSESSIONID=A1.node1; session_id='a@b', n", "JSESSIONID=[redacted]; session_id='[redacted]', n"),
        ("body password%3Ahunter2&n=1", "body password%3A[redacted]&n=1"),
        ("%22password%22%3A%22x%21%22%2C%22n%22%3A1", "%22password%22%3A%22[redacted]%22%2C%22n%22%3A1"),
        ("to https://hooks.slack.com/services/T0/B0/aB1, ok", "to https://hooks.slack.com/services/[redacted], ok"),
        ("google ya29.a0AfH6SMBabcdef", "google [redacted]"),
        ("google GOCSPX-0123456789abcdef", "google [redacted]"),
        ("mail SG.0123456789abcdef.0123456789abcdef", "mail [redacted]"),
        ("vault hvs.0123456789abcdef", "vault [redacted]"),
        ("hook whsec_0123456789abcdef", "hook [redacted]"),
        ("PASSWORD=İ1 and İPASSWORD=x2", "PASSWORD=[redacted] and İPASSWORD=[redacted]"),
    ],
)
def test_a_secret_is_replaced_and_what_is_around_it_stays(text: str, shown: str) -> None:
    assert redactor.redact(text) == shown
    assert redactor(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "17:22:08.552 INFO Login request of username: fdse_microservice",
        "pass: 12, fail: 3",
        "the password was wrong",
        "input_tokens: 512",
        "tokens: 12, tokens=12",
        '{"tokens":12,"max_tokens":"512","ids of tokens":[1, 2]}',
        "secrets: none of them, cookies: disabled",
        "signature verification failed, sig=11, signature: v1",
        "compass: north, bypass=1",
        "--password is required, --token <TOKEN>",
        "session 12 of user: bob",
        "password=[redacted], password=[], token=[[redacted]]",
        "basic functionality, bearer authentication",
        "TraceID: a0d80a44d4465d537f863d6ff77acfc8 at 1674984128546561",
        "order 4111111111111112 of 2026-11-24 15:04:05",
        "4bf92f35-4111-1111-1111-111111111111",
        "java.lang.Object@1b2c3d and pkg@1.2.3",
        "http://cart:8080/items?key=1",
    ],
)
def test_what_is_no_secret_is_the_same_object(text: str) -> None:
    assert redactor.redact(text) is text


def test_values_go_by_their_names() -> None:
    given_tags = {
        "http.request.header.authorization": "anything at all",
        "Set-Cookie": "a=b",
        "db.password": "hunter2",
        "x-api-key": "",
        "userToken": "t",
        "http.method": "GET",
        "note": "password=hunter2",
        "bob@example.com": "1",
        "eve@example.com": "2",
        "ann@example.com": "3",
        "dbPass": "hunter2",
        "passwords": "hunter2 hunter3",
        "password_hash": "$2b$",
    }
    assert redactor.redact_map(given_tags) == {
        "http.request.header.authorization": MARK,
        "Set-Cookie": MARK,
        "db.password": MARK,
        "x-api-key": "",
        "userToken": MARK,
        "http.method": "GET",
        "note": "password=[redacted]",
        MARK: "1",
        f"{MARK}'": "2",
        f"{MARK}'2": "3",
        "dbPass": MARK,
        "passwords": MARK,
        "password_hash": MARK,
    }
    assert redactor.redact_map({"tokens": "12"} | {"a.tokens": "t1"}) == {"tokens": "12", "a.tokens": MARK}
    clean = {"http.method": "GET", "tokens": "12", "compass": "north"}
    assert redactor.redact_map(clean) is clean


def test_many_names_that_differ_in_their_secrets_alone_are_kept_apart() -> None:
    names = {f"n{number}@example.com": "v" for number in range(20_000)}
    assert len(redactor.redact_map(names)) == len(names)


def test_only_the_kinds_that_are_chosen_are_redacted() -> None:
    samples = {"password": "pwd=hunter2", "token": "token=t1", "email": "bob@example.com", "card": "4111111111111111"}
    for kind in KINDS:
        only = Redactor([kind])
        assert {one for one, text in samples.items() if only.redact(text) != text} == {kind}
    nothing = Redactor([])
    assert nothing.redact_map(samples) is samples
    assert nothing.redact_map({"password": "x"}) == {"password": "x"}


def test_patterns_are_added_and_settings_that_are_wrong_are_named() -> None:
    own = RedactionSettings(redact="", redact_patterns="cust-[0-9]+\n\nred").redactor()
    assert own.redact("of cust-12, a red one, pwd=x [redacted]") == "of [redacted], a [redacted] one, pwd=x [redacted]"
    with pytest.raises(UserError, match=r"TRACELINK_REDACT_PATTERNS: '\(a': "):
        RedactionSettings(redact_patterns="b\n(a").redactor()
    with pytest.raises(UserError, match=r"TRACELINK_REDACT_PATTERNS: 'x\*': the pattern matches the empty text"):
        RedactionSettings(redact_patterns="x*").redactor()
    with pytest.raises(UserError, match="TRACELINK_REDACT: 'tokens' is not one of password, token, email, card"):
        RedactionSettings(redact="password, tokens").redactor()


def test_values_under_names_of_ones_own_are_redacted_whatever_they_are() -> None:
    own = RedactionSettings(redact="", redact_names="customer.*, Body,*.ssn").redactor()
    tags = {
        "customer.id": "12", "Customer.Name": "Bob", "customer": "a shop", "body": '{"a":[1]}',
        "order.ssn": "078-05-1120",
        "customer.id'": "13", "customer.id''9": "14", "resource.customer.id": "15", "otel.scope.body": "16",
        "request.body": "r", "body.id": "i",
        "body'": "b", "body''9": "c",
        "field.body": "17", "somebody": "x", "customer.none": "",
    }  # fmt: skip
    kept = {"customer": "a shop", "somebody": "x", "customer.none": ""}
    assert own.redact_map(tags) == dict.fromkeys(tags, MARK) | kept


def test_values_under_names_of_ones_own_are_redacted_in_the_json_of_any_text() -> None:
    own = RedactionSettings(redact="", redact_names="customer,ssn").redactor()
    nested = '{"order":{"customer":{"first":"Bob","all":[1,{"n":2}]},"n":1},"SSN" : 78051120,"x":["customer"]}'
    shown = '{"order":{"customer":"[redacted]","n":1},"SSN" : "[redacted]","x":["customer"]}'
    assert own.redact_map({"http.body": nested}) == {"http.body": shown}
    assert own.redact(f'"retry": {nested} and on') == f'"retry": {shown} and on'
    assert own.redact('cut off: {"n":1,"customer":{"first":"Bo') == 'cut off: {"n":1,"customer":"[redacted]"'
    assert own.redact('{"customer":' + "[" * 100_000) == '{"customer":"[redacted]"'
    assert own.redact('{"customer":' + "9" * 5000 + ',"n":1}') == '{"customer":"[redacted]","n":1}'
    assert own.redact("the customer: Bob") == "the customer: Bob"
    assert own.redact('{"' + "n." * 200 + '":1}') == '{"' + "n." * 200 + '":"[redacted]"}'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"ssn": "x", "n": 1}, {"ssn": MARK, "n": 1}),
        ({"ssn": 'quoted "x" and \\', "n": 1}, None),
        ({"ssn": 12.5, "n": 1}, {"ssn": MARK, "n": 1}),
        ({"ssn": {"a": "x"}, "n": 1}, None),
        ({"n": {"ssn": "x", "m": ["y"]}}, {"n": {"ssn": MARK, "m": ["y"]}}),
    ],
)
def test_values_under_names_of_ones_own_are_redacted_in_json_within_strings(value: object, shown: object) -> None:
    own = RedactionSettings(redact="", redact_names="ssn").redactor()
    for levels in range(1, 5):
        text, wanted = value, shown
        for _ in range(levels):
            text, wanted = {"in": [json.dumps(text)], "after": "y"}, {"in": [json.dumps(wanted)], "after": "y"}
        found = own.redact(json.dumps(text))
        assert MARK in found
        assert not {"x", "12", "a"} & set(re.findall(r"\w+", found))
        if levels == 1 or shown:
            assert json.loads(found)["after"] == "y"
        if shown:
            assert json.loads(found) == wanted


@pytest.mark.parametrize(
    "piece",
    [
        '"',
        '"\\',
        '"ssn" ',
        '"a":',
        '{"ssn":"x",',
        '"ssn":[',
        '"sss',
        "\"'",
        "\"ss'n'\"",
        "\\",
        '."',
        '\\"ssn\\":{',
        '\\"ssn\\":"',
    ],
)
def test_looking_for_names_of_ones_own_takes_linear_time(piece: str) -> None:
    own = RedactionSettings(redact="", redact_names="ssn,*ss*n*").redactor()
    begun = thread_time()
    own.redact(":" + piece * (400_000 // len(piece)))
    assert thread_time() - begun < 2


def test_a_second_value_of_a_secret_name_is_redacted_too() -> None:
    assert redactor.redact_map({"password'": "hunter2", "api_key''": "k"}) == {"password'": MARK, "api_key''": MARK}


_PIECES = [
    "password", "pwd", "pass", "token", "api_key", "secret", "authorization", "cookie", "bearer ", "Basic ", "eyJ", "://",
    "=", ":", "=>", " ", '"', "'", "\\", '\\"', "@", ".", ",", ";", "&", ")", "]", "}", "<", "\n", MARK, "[", "a", "B1",
    "bob@example.com", "4111111111111111", BASIC, JWT, "AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----", "é", "İ",
    "s", '["', "--", "--password ", "curl -u a:", "sig=", "sessionid=", "hooks.slack.com/services/", "%22", "%3a",
    "_hash", "abcdefgh", "12",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join))
def test_redacting_again_changes_nothing(text: str) -> None:
    once = redactor.redact(text)
    assert redactor.redact(once) == once
    own = NAMED.redact(text)
    assert NAMED.redact(own) == own


@given(st.text(alphabet="abcXYZ019!#$%*+-/:=?^_|~", min_size=1, max_size=20), st.sampled_from(["'", '"', ""]))
def test_no_part_of_a_password_is_left(secret: str, quote: str) -> None:
    shown = redactor.redact(f"x password={quote}§{secret}§{quote} y")
    assert shown == f"x password={quote}{MARK}{quote} y" if quote else f"x password={MARK} y"


@pytest.mark.parametrize(
    "unit",
    [
        "a", "a.", "a@", "a@b.", "4111 ", "4", "password", "password=", 'password="', "://a:", "eyJa.", "[redacted]",
        "eyJ", "a-", "sk-", "AKIA",
        "token=", "cookie=a;", "-----BEGIN PRIVATE KEY-----", "bearer ", "İpwd=", "authorization=a ", 'secret\\"',
        "\\", '"', "'", '\\"', " ", "=", ":", ">", "[", "]", '["', "://", "@", "1", "QUJD", "basic ", "authorization",
        "password=[", 'password=["', 'password=[\\"', "password=[[redacted]", "password=\\", "tokens=[a", "cookie=;",
        "--", "--a-", "--password ", "--a-password", "curl -u ", "-u a:", "sig=", "sig=abcdefgh=", "sessionid=", "%",
        "%22", "%22password%22%3a%22", "/api/webhooks/1/", "hooks.slack.com/services/", "SG.0123456789abcdef", "ya29.",
        "hvs.", "password=[ ", "password=[\n", "password=[a,\n", ",\n", "password=[]a",
    ],
)  # fmt: skip
@pytest.mark.parametrize("start", ["", 'password=\\"', "password=[", "curl -u "])
def test_no_text_takes_longer_than_its_length(unit: str, start: str) -> None:
    # Were it quadratic, this would take from 5 seconds to minutes. The end has every pattern tried.
    hints = (
        "x ://@ password pwd token key secret authorization cookie bearer basic eyJ AKIA ghp_ -- curl hooks sig= sessi "
        + "4" * 13
    )
    text = start + unit * (50_000 // len(unit)) + hints
    begun = thread_time()
    assert len(redactor.redact(text)) <= len(text) * len(MARK)
    assert thread_time() - begun < 2
