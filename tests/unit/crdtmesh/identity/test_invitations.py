"""Tokens, and the book that counts their uses and tries."""

import dataclasses
import json
import stat
from pathlib import Path

import pytest

from crdtmesh.identity import invitations
from crdtmesh.identity.errors import IdentityError
from crdtmesh.identity.invitations import INVITATIONS_MAX, TRIES_MAX, InvitationBook, Refused, Token

NUMBER, SECRET, WRONG = bytes(8), bytes(16), b"\1" * 16
NOW_S, END_S = 1_000.0, 2_000
TOKEN = Token(
    address="[2001:db8::1]:7948",
    fingerprint="ab" * 32,
    cluster="home",
    id=NUMBER.hex(),
    secret=SECRET.hex(),
    expires_s=END_S,
)


@pytest.fixture
def book(tmp_path: Path) -> InvitationBook:
    made = InvitationBook(tmp_path / "invitations.json")
    made.add(number=NUMBER, secret=SECRET, uses=1, expires_s=END_S, name="", now_s=NOW_S)
    return made


def redeem(
    book: InvitationBook, secret: bytes = SECRET, *, name: str = "hall", is_taken: bool = False, now_s: float = NOW_S
) -> None:
    book.redeem(NUMBER.hex(), secret, name, is_taken=is_taken, now_s=now_s)


def test_a_token_survives_its_text_and_hides_its_secret_from_logs() -> None:
    assert TOKEN == Token.decode(f"  {TOKEN.encode()}\n")
    assert SECRET.hex() not in repr(TOKEN)


@pytest.mark.parametrize("at", range(0, len(TOKEN.encode()), 7))
def test_a_token_with_a_slip_is_refused(at: int) -> None:
    text = TOKEN.encode()
    other = "A" if text[at] != "A" else "B"
    for spoilt in (text[:at] + other + text[at + 1 :], text[:at], text[:at] + text[at + 1 :]):
        with pytest.raises(IdentityError, match="whole and unchanged"):
            Token.decode(spoilt)


@pytest.mark.parametrize(
    "change",
    [{"secret": "ab"}, {"id": ""}, {"fingerprint": "xy"}, {"expires_s": "soon"}, {"address": "x" * 2_000}],
)
def test_a_token_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(IdentityError):
        Token.decode(dataclasses.replace(TOKEN, **change).encode())  # type: ignore[arg-type]


def test_an_invitation_is_good_once(book: InvitationBook) -> None:
    assert book.has_open(NOW_S)
    redeem(book)

    assert not book.has_open(NOW_S)
    with pytest.raises(Refused, match="ended"):
        redeem(book)


def test_the_use_is_on_disk_before_anybody_is_answered(
    book: InvitationBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redeem(book)
    again = InvitationBook(tmp_path / "invitations.json")
    with pytest.raises(Refused, match="ended"):
        redeem(again)

    def fail(*_: object, **__: object) -> None:
        raise IdentityError("the disk is full")

    book.add(number=b"\2" * 8, secret=SECRET, uses=1, expires_s=END_S, name="", now_s=NOW_S)
    monkeypatch.setattr(invitations, "write_secret", fail)
    with pytest.raises(IdentityError, match="full"):
        book.redeem((b"\2" * 8).hex(), SECRET, "hall", is_taken=False, now_s=NOW_S)


def test_wrong_secrets_are_counted_and_end_the_invitation(book: InvitationBook) -> None:
    for left in range(TRIES_MAX - 1, -1, -1):
        with pytest.raises(Refused, match=f"wrong secret; {left} tries"):
            redeem(book, WRONG)
    with pytest.raises(Refused, match="ended"):
        redeem(book)


def test_a_slip_is_forgiven(book: InvitationBook) -> None:
    with pytest.raises(Refused):
        redeem(book, WRONG)
    redeem(book)


def test_an_invitation_ends(book: InvitationBook) -> None:
    with pytest.raises(Refused, match="ended"):
        redeem(book, now_s=END_S)


def test_an_unknown_invitation_is_refused(book: InvitationBook) -> None:
    with pytest.raises(Refused, match="no such"):
        book.redeem("ff" * 8, SECRET, "hall", is_taken=False, now_s=NOW_S)


def test_a_name_in_use_is_refused_and_costs_no_use(book: InvitationBook) -> None:
    with pytest.raises(Refused, match="in use"):
        redeem(book, is_taken=True)
    redeem(book)


def test_an_invitation_for_a_name_gives_only_that_one_also_again(tmp_path: Path) -> None:
    book = InvitationBook(tmp_path / "invitations.json")
    book.add(number=NUMBER, secret=SECRET, uses=1, expires_s=END_S, name="hall", now_s=NOW_S)

    with pytest.raises(Refused, match="not the invited one"):
        redeem(book, name="attic")
    redeem(book, name="hall", is_taken=True)


def test_the_book_holds_no_secret_and_is_its_owners(book: InvitationBook, tmp_path: Path) -> None:
    path = tmp_path / "invitations.json"

    assert SECRET.hex() not in path.read_text()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_open_invitations_are_bounded_and_ended_ones_make_room(book: InvitationBook) -> None:
    for number in range(1, INVITATIONS_MAX):
        book.add(number=number.to_bytes(8), secret=SECRET, uses=1, expires_s=END_S, name="", now_s=NOW_S)
    with pytest.raises(IdentityError, match="are open"):
        book.add(number=b"\xff" * 8, secret=SECRET, uses=1, expires_s=END_S, name="", now_s=NOW_S)
    book.add(number=b"\xff" * 8, secret=SECRET, uses=1, expires_s=END_S + 9, name="", now_s=END_S)


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", json.dumps([{"id": "x"}])])
def test_a_spoilt_book_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "invitations.json"
    path.write_text(text)
    path.chmod(0o600)
    book = InvitationBook(path)

    assert not book.has_open(NOW_S)
    with pytest.raises((IdentityError, Refused)):
        redeem(book)
