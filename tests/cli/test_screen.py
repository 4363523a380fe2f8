"""Tables on stdout."""

from __future__ import annotations

from selectrl.cli.screen import table

ROWS = [["csro", "max-min mutual information: distance metric and CLUB bound", "2023"], ["blind", "", "2021"]]


def test_a_table_that_fits_has_one_line_a_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table("encoders", ["name", "what it does", "year"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "encoders",
        "name   what it does                                                year",
        "csro   max-min mutual information: distance metric and CLUB bound  2023",
        "blind                                                              2021",
    ]


def test_the_widest_column_is_folded_at_words_and_long_words_are_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    table("", ["name", "what it does", "year"], ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "name   what it      year",
        "       does",
        "csro   max-min      2023",
        "       mutual info",
        "       rmation:",
        "       distance",
        "       metric and",
        "       CLUB bound",
        "blind               2021",
    ]


def test_no_terminal_is_too_narrow(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "3")
    table("", ["a", "b"], [["lo", "wo"]])
    assert capsys.readouterr().out.splitlines() == ["a  b", "l  w", "o  o"]
