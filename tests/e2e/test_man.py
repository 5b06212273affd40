# SPDX-License-Identifier: Apache-2.0
"""The manual pages and the programs know the same commands, options, keys and words."""

import pathlib
import re
import unittest

import peer
from peer import host

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAN = ROOT / "docs/man"


def parts(page, macro):
    """Headings of one kind in an mdoc page, each with the text up to the next section or subsection."""
    found = re.split(r"^\.(Sh|Ss) (.*)\n", (MAN / page).read_text(), flags=re.M)
    return {title: text for kind, title, text in zip(found[1::3], found[2::3], found[3::3]) if kind == macro}


def items(text, macro):
    """Words that `.It MACRO` explains, each with its explanation: '.It Fl v , Fl -verbose', '.It Ic a , b'."""
    found = re.split(rf"^\.It (?={macro} )(.*)\n", text, flags=re.M)
    return {word: body for head, body in zip(found[1::2], found[2::2])
            for word in head.split(" Ar ")[0].replace(f"{macro} ", "").split(" , ")}


def options_of_help(*command):
    """Options that a program prints: '-v, --verbose', '--run-dir DIR'; as mdoc spells them, less one hyphen."""
    status, out, err = peer.run(*command, "--help")
    assert status == 0 and err == "", (command, err)
    lines = re.findall(r"^  ((?:-\w, )?--[a-z-]+)( [A-Z]+)?", out.partition("\nOptions:\n")[2], re.M)
    return {word[1:]: value.strip().lower() for names, value in lines for word in names.split(", ")}


def options_of_page(text):
    heads = re.findall(r"^\.It (Fl .*)", text, re.M)
    return {word: head.partition(" Ar ")[2] for head in heads
            for word in head.partition(" Ar ")[0].replace("Fl ", "").split(" , ")}


def keys_of_source(table):
    """Rows of a table of tools/viaductd/config.c: name, type, largest, least, words."""
    source = (ROOT / "tools/viaductd/config.c").read_text()
    rows = re.search(rf"^static const key {table}\[\] = {{\n(.*?)^}};", source, re.M | re.S).group(1)
    found = re.findall(r'{"([\w.]+)", (V_\w+), \w+\(\w+\), ([^,]+), ([^,]+), (NULL|"[^"]*")}', rows)
    assert len(found) == rows.count("{"), rows
    return {name: (kind, cap, least, words.strip('"')) for name, kind, cap, least, words in found}


@host.posix_only("unix")
class Man(unittest.TestCase):
    maxDiff = None

    def test_options_of_every_command(self):
        out = peer.run("viaduct", "--help")[1]
        commands = re.findall(r"^  (\w+) ", out.partition("\nCommands:\n")[2], re.M)
        pages = parts("viaduct.1", "Ss")
        self.assertIn("call", commands)
        self.assertEqual(list(pages), [f"viaduct {c}" for c in commands])
        synopsis = re.findall(r"^\.Cm (\w+)", parts("viaduct.1", "Sh")["SYNOPSIS"], re.M)
        self.assertEqual(synopsis, commands)
        for c in commands:
            options = options_of_help("viaduct", c)
            self.assertIn("-help", options)
            self.assertEqual(options_of_page(pages[f"viaduct {c}"]), options, c)

    def test_options_of_the_daemon(self):
        sections = parts("viaductd.8", "Sh")
        options = options_of_help("viaductd")
        self.assertIn("-check", options)
        self.assertEqual(options_of_page(sections["DESCRIPTION"]), options)
        usage = set(re.findall(r"(?<=\[-)-?[\w-]+", peer.run("viaductd", "--help")[1].partition("\n")[0]))
        self.assertEqual(set(re.findall(r"Fl (\S+)", sections["SYNOPSIS"])), usage)

    def test_exit_statuses(self):
        for program, page in ("viaduct", "viaduct.1"), ("viaductd", "viaductd.8"):
            text = peer.run(program, "--help")[1].partition("\nExit status: ")[2]
            said = re.findall(r"(?:^|; |;\n)(\d) ", text)
            self.assertEqual(re.findall(r"^\.It (\d)", parts(page, "Sh")["EXIT STATUS"], re.M), said, page)

    def test_keys_of_the_configuration(self):
        pages = parts("viaductd.conf.5", "Ss")
        for table, title in ("daemon_keys", "[daemon] keys"), ("service_keys", "[service NAME] keys"):
            page, keys = items(pages[title], "Ic"), keys_of_source(table)
            self.assertEqual(set(page), set(keys), title)
            for name, (kind, cap, least, words) in keys.items():
                if kind == "V_WORD":
                    listed = re.findall(r"\w+", " ".join(re.findall(r"^\.Cm (.*)", page[name], re.M)))
                    self.assertEqual(sorted(listed), sorted(words.split()), name)
                if kind == "V_NUMBER":
                    self.assertIn(f"{least} to {cap}", page[name], name)

    def test_words_of_the_module_abi(self):
        table = (ROOT / "docs/abi.md").read_text().partition("Keys of `provides=`:")[2].partition("\n\nA key")[0]
        words = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| [^|]*\| ([^|]*) \|", table, re.M))))
        self.assertIn("by_request", words)
        page = items(parts("viaduct-module.7", "Ss")["Identity text"], "Ic")
        self.assertEqual(set(page) - {"id", "version", "provides", "requires"}, words)


if __name__ == "__main__":
    unittest.main()
