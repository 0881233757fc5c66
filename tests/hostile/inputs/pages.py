"""Web pages: scripts, entities, what must not be fetched, and markup without end."""

from collections.abc import Iterator

from tests.hostile.inputs.bad import (
    ADDRESS,
    BINARY,
    DONE,
    EMPTY,
    SECRET_FILE,
    TOO_LARGE,
    UNREADABLE,
    Bad,
    bad,
)

EVIL = "steal(document.cookie)"
HIDDEN = {
    "script": f"<script>{EVIL}</script>",
    "script_in_upper_case": f"<SCRIPT>{EVIL}</SCRIPT>",
    "script_with_type": f"<script type='text/template'>{EVIL}</script>",
    "script_in_script": f"<script><script>{EVIL}</script>",
    "script_in_body": f"<b><i><script>{EVIL}</script></i></b>",
    "module": f"<script type=module src='http://{ADDRESS}/a.js'>{EVIL}</script>",
    "json": f'<script type="application/ld+json">{{"a": "{EVIL}"}}</script>',
    "style": f"<style>p {{ background: url('http://{ADDRESS}/{EVIL}') }}</style>",
    "import": f"<style>@import 'http://{ADDRESS}/{EVIL}';</style>",
    "template": f"<template><p>{EVIL}</p></template>",
    "noscript": f"<noscript>{EVIL}</noscript>",
    "svg": f"<svg onload='{EVIL}'><script>{EVIL}</script></svg>",
    "comment": f"<!-- {EVIL} -->",
    "conditional": f"<!--[if IE]><p>{EVIL}</p><![endif]-->",
    "processing": f"<?php {EVIL} ?>",
    "attribute": f"<p onclick='{EVIL}' title='{EVIL}'></p>",
    "image": f"<img src='http://{ADDRESS}/x.png' onerror='{EVIL}' alt='{EVIL}'>",
    "link": f"<a href='javascript:{EVIL}'>link</a>",
    "frame": f"<iframe srcdoc='{EVIL}' src='http://{ADDRESS}/'></iframe>",
    "object": f"<object data='http://{ADDRESS}/a.swf'><param name=a value='{EVIL}'></object>",
    "refresh": f"<meta http-equiv=refresh content='0;url=http://{ADDRESS}/{EVIL}'>",
    "base": f"<base href='http://{ADDRESS}/'><link rel=stylesheet href=a.css>",
    "form": f"<form action='http://{ADDRESS}/'><input type=hidden value='{EVIL}'></form>",
}
ENTITIES = {
    "file": f'<!DOCTYPE html [<!ENTITY x SYSTEM "file://{SECRET_FILE}">]><p>Total 12 &x;',
    "network": f'<!DOCTYPE html [<!ENTITY x SYSTEM "http://{ADDRESS}/">]><p>Total 12 &x;',
    "doctype": f'<!DOCTYPE html SYSTEM "http://{ADDRESS}/evil.dtd"><p>Total 12',
    "parameter": f'<!DOCTYPE html [<!ENTITY % x SYSTEM "http://{ADDRESS}/evil.dtd"> %x;]><p>Total 12',
    "laughs": "<!DOCTYPE html [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 10))
    + "]><p>Total 12 &a9;",
    "include": f'<html xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file://{SECRET_FILE}" '
    'parse="text"/><p>Total 12',
    "stylesheet": f"<?xml-stylesheet href='http://{ADDRESS}/a.xsl'?><html><p>Total 12",
    "characters": "<p>Total 12 &#0; &#xD800; &#x110000; &#xFFFFFFFF; &#-1; &bogus; &amp",
}
CHARSETS = ["utf-7", "bogus", "idna", "unicode-escape", "utf-16", "rot13", "zlib", "x" * 500]


def inputs() -> Iterator[Bad]:
    for name, markup in HIDDEN.items():
        page = f"<html><p>Total 12</p>{markup}"
        yield bad(f"hidden_{name}.html", page, DONE, holds="Total 12", lacks=(EVIL,))
    for name, page in ENTITIES.items():
        yield bad(f"entities_{name}.xhtml", page, DONE, holds="Total 12")
    for charset in CHARSETS:
        page = f"<meta charset='{charset}'><p>Total 12 +ADw-script+AD4- für"
        yield bad(f"charset_{charset[:9]}.html", page, DONE)
    yield bad("script_never_closed.html", f"<p>Total 12<script>{EVIL}", DONE, holds="Total 12", lacks=(EVIL,))
    yield bad("comment_never_closed.html", f"<p>Total 12<!-- {EVIL}", DONE, holds="Total 12")
    yield bad("nul_in_tag.html", b"<p>Total 12<scr\0ipt>x</scr\0ipt>", BINARY)
    yield bad("nothing_visible.html", "<head><title></title></head>", EMPTY)
    yield from _endless()


def _endless() -> Iterator[Bad]:
    patterns = {
        "divs": b"<div>",
        "tables": b"<table><tr><td>",
        "lists": b"<ul><li>",
        "fonts": b"<font><b><i>",
        "brackets": b"<",
        "tags": b"<a ",
        "quotes": b"<a b='",
        "comments": b"<!--",
        "ends": b"</p>",
        "entities": b"&amp;",
        "ampersands": b"&",
        "numbers": b"&#9",
        "doctypes": b"<!DOCTYPE ",
        "cdata": b"<![CDATA[",
    }
    for name, unit in patterns.items():
        yield bad(
            f"endless_{name}.html",
            lambda unit=unit: b"<p>Total 12</p>" + unit * (1_500_000 // len(unit)),
            DONE,
            UNREADABLE,
            TOO_LARGE,
        )
    yield bad(
        "attribute_of_10_mb.html", lambda: b"<p title='" + b"x" * 10_000_000 + b"'>Total 12", DONE, EMPTY
    )
    yield bad(
        "attributes.html",
        lambda: b"<p " + b"".join(b"a%d=1 " % n for n in range(100_000)) + b">Total 12",
        DONE,
    )
    yield bad("text_of_15_mb.html", lambda: b"<p>" + b"x " * 7_500_000, TOO_LARGE)
