"""Every function of the header is called through the package: with no node, no event and no place for a result."""

import ctypes

from vixp2p import Status, _abi

CODE = {"vixp2p_status_str", "vixp2p_last_error_message", "vixp2p_last_error_code", "vixp2p_version", "vixp2p_version_number"}
CODE |= {"vixp2p_abi_version", "vixp2p_clear_process_log"}


def nothing(kind):
    """NULL for a pointer, 0 for a number."""
    return kind(0) if issubclass(kind, ctypes._SimpleCData) and kind not in (ctypes.c_void_p, ctypes.c_char_p) else None


def test_no_function_minds_getting_nothing():
    for name, (result, *arguments) in _abi.FUNCTIONS.items():
        if name == "vixp2p_node_create":
            continue  # NULL options are the defaults, and the result then a node; below
        answer = getattr(_abi.lib, name)(*map(nothing, arguments))
        if name in CODE or result is None:
            continue
        assert _abi.lib.vixp2p_last_error_message().startswith(name.encode() + b": "), name
        if result is ctypes.c_int and name not in ("vixp2p_event_get_kind", "vixp2p_event_direction"):
            assert answer < 0, name
        else:
            assert answer in (None, 0, -1), name


def test_null_options_are_the_defaults():
    node = ctypes.c_void_p()
    assert _abi.lib.vixp2p_node_create(None, node) == Status.OK
    assert _abi.lib.vixp2p_node_event_fd(node) == -1
    assert _abi.lib.vixp2p_last_error_code() == Status.ERR_UNSUPPORTED
    _abi.lib.vixp2p_node_destroy(node)
    assert _abi.lib.vixp2p_node_create(None, None) == Status.ERR_INVALID
    assert b"out is NULL" in _abi.lib.vixp2p_last_error_message()
    assert _abi.lib.vixp2p_status_str(Status.OK) == b"ok"
