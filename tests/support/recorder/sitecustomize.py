"""Records every address that a Python process contacts: put this folder on ``PYTHONPATH``.

Python imports a module of this name before anything else, in child processes too. Each address is one line of JSON in
``RECORDER_FILE``; one that is not in ``RECORDER_ALLOWED`` is refused as well, so that no test calls out.

- By audit events: what goes through Python's ``socket``, which is every connection and every look-up of a name but
  those of gRPC.
- By ``/proc``, on Linux: the sockets that the process holds, looked at every 50 ms, between two phases
  and at the end. gRPC's own connections, which stay open, are seen by this only.
"""

from __future__ import annotations

import atexit
import ipaddress
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

ALLOWED = set(json.loads(os.environ["RECORDER_ALLOWED"]))
PROC = Path("/proc/self")

phase = "start"
"""What the process does at the moment; a program may set it."""

_seen: set[tuple[str, str, str]] = set()
_sockets: set[str] = set()
_lock = threading.RLock()


def note(how: str, address: str) -> None:
    with _lock:
        if (phase, how, address) in _seen:
            return
        _seen.add((phase, how, address))
        line = json.dumps({"phase": phase, "how": how, "address": address})
        descriptor = os.open(os.environ["RECORDER_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


def hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if address is None:  # on a socket that is connected
            return
        name = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else f"{address!r}"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
        name = host.decode() if isinstance(host, bytes) else host
        if name is None or is_number(name):
            return
    else:
        return
    note(event, name)
    if name not in ALLOWED:
        raise ConnectionRefusedError(f"{event}: nobody has configured {name}")


def is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def look() -> None:
    """Note the far ends of the sockets that this process holds."""
    held = set()
    for entry in (PROC / "fd").iterdir():
        try:
            kind, _, inode = str(entry.readlink()).partition(":")
        except OSError:  # closed meanwhile
            continue
        if kind == "socket":
            held.add(inode.strip("[]"))
    if not held - _sockets:  # the tables are long on a busy machine
        return
    for table in ("tcp", "tcp6", "udp", "udp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a machine without IPv6
            continue
        for line in lines:
            columns = line.split()
            host, _, port = columns[2].partition(":")
            if columns[9] in held - _sockets and int(port, 16):
                # Once for each socket: one that is kept open belongs to the phase that opened it.
                _sockets.add(columns[9])
                note(table, f"{address_of(host)}:{int(port, 16)}")


def address_of(digits: str) -> str:
    """As the kernel prints it: 32-bit words, each in the order of the machine."""
    words = [int(digits[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def keep_looking(end: threading.Event) -> None:
    while not end.wait(0.05):
        look()


def enter(name: str) -> None:
    """Begin another phase."""
    global phase
    look()
    phase = name


sys.addaudithook(hook)
if PROC.exists():
    atexit.register(look)
    threading.Thread(target=keep_looking, args=(threading.Event(),), daemon=True).start()
note("process", " ".join(sys.orig_argv[1:3]))
