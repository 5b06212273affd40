#!/usr/bin/env python3
"""test_release_check.py - what release_check.py lets pass, and what it stops."""
import datetime
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import unittest.mock

import release_check as r

DAY = datetime.date(2030, 5, 1)
CHANGES = "# Changes\n\n## 1.2.3 (2030-05-01)\n\n- More.\n\n## 1.2.0 (2030-04-01)\n\n- Some.\n"
MODULE = ('#define VIA_MODULE_SYMBOL "viaduct_module_v1"\n\tx = VIA_NOTE_MAGIC "\\0abi=1\\0" note; \\\n'
          "\tVIA_EXPORT via_rc VIA_CALL viaduct_module_v1(uint32_t);\n")
TREE = {
    "CMakeLists.txt": "project(viaduct VERSION 1.2.3 LANGUAGES C)\n",
    "CHANGES.md": CHANGES,
    "README.md": "This is viaduct 1.2.3; find_package(viaduct 1.2 REQUIRED). It needs cmake 3.25.1.\n",
    "core/text.c": '#define VIA_VERSION "0.0.0"\n',
    "include/viaduct/abi.h": "#define VIA_ABI_MAJOR 1u\n#define VIA_ABI_MINOR 0u\n",
    "tests/abi/abi_golden.inc": "SIZE(via_x, 16)\nMEMBER(via_x, a, 0, 8)\nVALUE(VIA_T, -3)\n",
    "include/viaduct/module.h": MODULE,
    "cmake/Options.cmake": "set(VIADUCT_ABI_MAJOR 1) # of modules\n",
    "cmake/CheckModule.cmake": "set(entry viaduct_module_v1)\n",
    "cmake/module.map": "{ global: viaduct_module_v1; };\n",
    "core/viaduct.map": "VIADUCT_1 { global: via_*; };\n",
    "packaging/components.cmake": "(core libviaduct1)\n",
}


class Release(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.root = pathlib.Path(self.directory.name)
        for name, text in TREE.items():
            self.write(name, text)
        self.git("init", "-q")
        self.commit()

    def git(self, *words):
        who = {f"GIT_{w}_{k}": "test@example.org" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
        subprocess.run(["git", "-C", self.root, *words], check=True, capture_output=True,
                       env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull})

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a commit")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def problems(self, tag="v1.2.3", today=DAY):
        return r.release_problems(self.root, tag, today)

    def stops(self, part, **kind):
        found = self.problems(**kind)
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def test_a_version_with_changes_and_a_date_is_released(self):
        self.assertEqual(self.problems(), [])
        self.git("tag", "v1.2.3")
        self.assertEqual(self.problems(), [])

    def test_the_tag_is_the_version(self):
        self.stops("expected v1.2.3", tag="v1.2.4")
        self.stops("expected v1.2.3", tag="1.2.3")

    def test_the_tag_of_another_commit(self):
        self.git("tag", "v1.2.3")
        self.commit()
        self.stops("is of another commit")

    def test_changes_without_a_date(self):
        self.write("CHANGES.md", CHANGES.replace("2030-05-01", "unreleased"))
        self.commit()
        self.assertEqual(r.changes_problems(self.root), [])
        self.stops("expected a date")

    def test_changes_with_a_date_that_is_none(self):
        self.write("CHANGES.md", CHANGES.replace("2030-05-01", "2030-02-30"))
        self.commit()
        self.stops("expected a date")

    def test_changes_of_tomorrow(self):
        self.stops("is not yet", today=DAY - datetime.timedelta(days=1))

    def test_no_changes(self):
        self.write("CHANGES.md", CHANGES.replace("- More.\n", ""))
        self.commit()
        self.stops("nothing is said of 1.2.3")

    def test_changes_of_another_version(self):
        self.write("CHANGES.md", CHANGES.replace("1.2.3", "1.2.4"))
        self.commit()
        self.stops("the top section is of 1.2.4")

    def test_an_older_version_that_was_never_released(self):
        self.write("CHANGES.md", CHANGES.replace("2030-04-01", "unreleased"))
        self.commit()
        self.stops("below a newer one, but unreleased")

    def test_versions_in_the_wrong_order(self):
        self.write("CHANGES.md", CHANGES.replace("1.2.0", "1.10.0"))
        self.commit()
        self.stops("not newer")

    def test_what_is_not_committed(self):
        self.write("core/text.c", "int x;\n")
        self.stops("not committed: core/text.c")

    def test_copies_that_differ(self):
        for name, text in (("README.md", "viaduct 1.2.2"), ("README.md", "unpack viaduct-1.2.2-linux.tar.gz"),
                           ("docs/a.md", "apt install ./libviaduct1_1.3.0-1_amd64.deb"),
                           ("docs/a.cmake", "find_package(Viaduct 1.1 REQUIRED)"),
                           ("packaging/rpm/viaduct.spec", "Version:        1.2.4"),
                           ("core/text.c", '#define VIA_VERSION "1.2.2"'),
                           ("cmake/x.rc", "FILEVERSION 1,2,2,0"), ("docs/man/x.1", ".Os viaduct 1.2.2")):
            with self.subTest(text):
                before = TREE.get(name, "")
                self.write(name, text + "\n")
                found = r.version_problems(self.root)
                self.assertEqual(len(found), 1, found)
                self.assertIn("but project() in CMakeLists.txt 1.2.3", found[0])
                self.write(name, before)

    def test_an_abi_that_grows_with_its_minor_number(self):
        table = TREE["tests/abi/abi_golden.inc"]
        self.git("tag", "v1.2.0")
        self.write("tests/abi/abi_golden.inc", table.replace("16", "24") + "MEMBER(via_x, b, 16, 8)\n")
        self.commit()
        self.stops("expected VIA_ABI_MINOR above 0, found 0")
        self.write("include/viaduct/abi.h", TREE["include/viaduct/abi.h"].replace("MINOR 0u", "MINOR 1u"))
        self.commit()
        self.assertEqual(self.problems(), [])

    def test_an_abi_that_was_broken(self):
        table = TREE["tests/abi/abi_golden.inc"]
        self.git("tag", "v0.9.0")
        for old, new in (("16", "8"), ("a, 0, 8", "a, 8, 8"), ("VALUE(VIA_T, -3)\n", ""), ("-3", "-4")):
            with self.subTest(new):
                self.write("tests/abi/abi_golden.inc", table.replace(old, new))
                self.commit()
                self.assertEqual(self.problems(), [], "before 1.0 it may change")
        self.git("tag", "v1.2.0", "HEAD~4")
        for old, new in (("16", "8"), ("a, 0, 8", "a, 8, 8"), ("VALUE(VIA_T, -3)\n", ""), ("-3", "-4")):
            with self.subTest(new):
                self.write("tests/abi/abi_golden.inc", table.replace(old, new))
                self.commit()
                self.stops("may only grow since v1.2.0")

    def test_releases_before_that_are_not_there(self):
        self.commit()
        whole = self.root
        self.git("clone", "-q", "--depth", "1", f"file://{whole}", whole / "shallow")
        self.root = whole / "shallow"
        self.stops("found a shallow clone")
        shutil.rmtree(self.root / ".git")
        with unittest.mock.patch.dict(os.environ, {"GIT_CEILING_DIRECTORIES": str(whole)}):
            self.stops("found no repository")

    def test_a_major_number_of_the_abi_that_differs(self):
        for name in ("include/viaduct/abi.h", "include/viaduct/module.h", "cmake/Options.cmake",
                     "cmake/CheckModule.cmake", "cmake/module.map", "core/viaduct.map", "packaging/components.cmake"):
            with self.subTest(name):
                for text in (TREE[name].replace("1", "2", 1), ""):
                    self.write(name, text)
                    self.assertIn("module ABI differs", "".join(r.version_problems(self.root)))
                self.write(name, TREE[name])

    def test_two_places(self):
        self.write("CMakeLists.txt", TREE["CMakeLists.txt"] * 2)
        with self.assertRaises(SystemExit):
            r.version(self.root)


if __name__ == "__main__":
    unittest.main()
