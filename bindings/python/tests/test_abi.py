"""The ctypes description is the header's: names, values, layouts."""

import ctypes
import re
import shutil
import subprocess
import sys

import pytest
from conftest import PACKAGE, PROJECT

from vixp2p import _abi

ENUMS = {
    "vixp2p_status": (_abi.Status, "VIXP2P_"),
    "vixp2p_event_kind": (_abi.EventKind, "VIXP2P_EVENT_"),
    "vixp2p_direction": (_abi.Direction, "VIXP2P_DIRECTION_"),
    "vixp2p_log_level": (_abi.LogLevel, "VIXP2P_LOG_"),
    "vixp2p_peer_state": (_abi.PeerState, "VIXP2P_PEER_"),
    "vixp2p_handshake_stage": (_abi.HandshakeStage, "VIXP2P_STAGE_"),
    "vixp2p_outbox_state": (_abi.OutboxState, "VIXP2P_OUTBOX_"),
    "vixp2p_trust_state": (_abi.TrustState, "VIXP2P_TRUST_STATE_"),
}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declarations(header):
    """Name and parameter list of every function."""
    text = re.sub(r"\s+", " ", without_comments(header))
    return dict(re.findall(r"VIXP2P_API [^;(#]*?\b(vixp2p_\w+)\(([^;]*?)\);", text))


def test_the_table_has_exactly_the_functions_of_the_header(header):
    assert sorted(_abi.FUNCTIONS) == sorted(declarations(header))


def test_every_function_has_as_many_arguments_as_in_the_header(header):
    for name, parameters in declarations(header).items():
        expected = 0 if parameters.strip() == "void" else parameters.count(",") + 1
        assert len(_abi.FUNCTIONS[name]) - 1 == expected, name


def test_the_enums_are_the_headers(header):
    text = without_comments(header)
    listed = dict(re.findall(r"typedef enum (vixp2p_\w+) \{(.*?)\}", text, flags=re.S))
    assert sorted(listed) == sorted(ENUMS)
    for name, (ours, prefix) in ENUMS.items():
        theirs = {k: int(v) for k, v in re.findall(r"(\w+) = (-?\d+)", listed[name])}
        assert theirs == {prefix + member.name: member.value for member in ours}, name


def test_the_constants_are_the_headers(header):
    defined = {k: int(v) for k, v in re.findall(r"#define VIXP2P_(\w+) (\d+)\n", without_comments(header))}
    ours = {k: v for k, v in vars(_abi).items() if k.isupper() and isinstance(v, int) and not k.startswith("_")}
    versions = {k for k in defined if k.startswith("VERSION_")}
    assert ours == {k: v for k, v in defined.items() if k not in versions}


def test_the_structs_have_the_layout_a_c_compiler_gives_them(header, tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler here")
    listed = re.findall(r"typedef struct (vixp2p_\w+) \{", without_comments(header))
    assert sorted(listed) == sorted(_abi.STRUCTS)
    lines, expected = [], []
    for name, struct in _abi.STRUCTS.items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(struct)}")
        for field, _ in struct._fields_:
            lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));')
            member = getattr(struct, field)
            expected.append(f"{name}.{field} {member.offset} {member.size}")
    source, program = tmp_path / "layout.c", tmp_path / "layout"
    source.write_text("#include <stdio.h>\n#include <vixp2p.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0;\n}\n")
    subprocess.run([compiler, "-I", PROJECT / "include", source, "-o", program], check=True)
    assert subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines() == expected


def load(path):
    """What loading that library says, in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(PACKAGE / 'src')!r}); import vixp2p"
    return subprocess.run([sys.executable, "-c", code], env={"VIXP2P_LIBRARY": str(path)}, capture_output=True, text=True)


def test_a_library_of_another_abi_is_refused_with_a_reason(tmp_path):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    source, library = tmp_path / "other.c", tmp_path / "libother.so"
    source.write_text("unsigned vixp2p_abi_version(void) { return 7u << 16; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", library], check=True)
    result = load(library)
    assert result.returncode != 0 and "has ABI 7.0, this package needs 0.1" in result.stderr


def test_a_file_that_is_no_library_is_refused_with_a_reason(tmp_path):
    result = load(tmp_path / "missing.so")
    assert result.returncode != 0 and "cannot be used as libvixp2p.so" in result.stderr
