#!/usr/bin/env python3
"""The dissector, tried with tshark: every golden sample, and what real nodes send, plain and sealed.

    wireshark.py VS
"""

import json
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LUA = ROOT / "vs-mio/cli/wireshark/vs.lua"
GOLDEN = ROOT / "vs-core/tests/golden"
PATIENCE_S = 30
MULTICAST = "239.255.93.7:{}"


def sample(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return bytes.fromhex("".join(lines))


def packet(protocol, payload, sequence=1, source=40000):
    """An IPv4 packet; nobody looks at checksums."""
    if protocol == 17:
        inner = struct.pack(">HHHH", source, 40001, 8 + len(payload), 0) + payload
    else:
        inner = struct.pack(">HHIIBBHHH", source, 40001, sequence, 1, 0x50, 0x18, 65535, 0, 0) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(inner), 0, 0, 64, protocol, 0, b"\n\0\0\1", b"\n\0\0\2")
    return head + inner


def write_pcap(path, packets):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for number, bytes_ in enumerate(packets):
            out.write(struct.pack("<IIII", number, 0, len(bytes_), len(bytes_)) + bytes_)


def dissect(path, fields, condition=None):
    """The fields of each packet, as tshark shows them."""
    command = ["tshark", "-r", str(path), "-X", f"lua_script:{LUA}", "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    command += ["-Y", condition] if condition else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    errors = [line for line in done.stderr.splitlines() if "lua" in line.lower()]
    assert not errors, errors
    return [line.split("\t") for line in done.stdout.splitlines()]


def is_clean(path):
    wrong = dissect(path, ["frame.number", "_ws.col.Info"], "(vs || vsb || vsm) && (_ws.malformed || vs.malformed || vsm.malformed || _ws.lua.error)")
    assert not wrong, wrong[:5]


NAMES = {
    "data": 1, "ack": 2, "nak": 3, "heartbeat": 4, "sync": 5, "sync-request": 6, "reach": 7, "path": 8, "direct": 9,
}


def kind_of(name):
    return NAMES.get(name) or NAMES[name.split("-")[0]]


def try_samples(place):
    datagrams = sorted((GOLDEN / "datagrams").glob("*.hex"))
    path = place / "datagrams.pcap"
    write_pcap(path, [packet(17, sample(file)) for file in datagrams])
    is_clean(path)
    kinds = [line[0] for line in dissect(path, ["vs.kind"])]
    expected = [str(kind_of(file.stem)) for file in datagrams]
    assert kinds == expected, list(zip(datagrams, kinds, expected))

    sealed = sorted((GOLDEN / "sealed").glob("*.hex"))
    beacons = sorted((GOLDEN / "beacons").glob("*.hex")) + sorted((GOLDEN / "beacons-sealed").glob("*.hex"))
    path = place / "sealed.pcap"
    write_pcap(path, [packet(17, sample(file)) for file in sealed + beacons])
    is_clean(path)
    shown = dissect(path, ["vs.key", "vs.kind", "vsb.version", "_ws.col.Info"])
    for file, (key, kind, version, info) in zip(sealed + beacons, shown):
        assert (key != "" and kind == "") or version == "3", (file, key, kind, version, info)

    # Each frame by itself, cut in the middle, behind a preamble.
    frames = sorted((GOLDEN / "frames").glob("*.hex"))
    packets, names = [], []
    for number, file in enumerate(frames):
        stream = b"VSM\0" + struct.pack("<H", 3) + sample(file)
        half = len(stream) // 2
        source = 41000 + number
        packets += [packet(6, stream[:half], 1, source), packet(6, stream[half:], 1 + half, source)]
        names.append(file.stem)
    path = place / "frames.pcap"
    write_pcap(path, packets)
    is_clean(path)
    kinds = [line for line in dissect(path, ["vsm.kind", "_ws.col.Info"]) if line[0]]
    assert len(kinds) == len(frames), f"{len(kinds)} of {len(frames)} frames"
    for name, (_, info) in zip(names, kinds):
        first = re.split("[-_ ]", name)[0]
        assert first in info.replace("_", " "), (name, info)
    return len(datagrams) + len(sealed) + len(beacons) + len(frames)


def capture(vs, place, name, options):
    """What three nodes send until each has heard all."""
    path = place / f"{name}.pcapng"
    shark = subprocess.Popen(
        ["tshark", "-q", "-i", "lo", "-w", str(path), "-f", "udp or tcp"], stderr=subprocess.PIPE, text=True
    )
    for line in shark.stderr:
        if "Capturing on" in line:
            break
    time.sleep(1)  # it says so a little too early
    port = 20000 + sum(map(ord, name)) * 7 % 20000
    status = f"127.0.0.1:{port + 7}"
    nodes = []
    for id_ in (1, 2, 3):
        command = [vs, "node", "--group", "g", "--interface", "127.0.0.1", "--multicast", MULTICAST.format(port)]
        # Others may capture and run nodes on this machine, too: the ports tell ours apart.
        command += ["--listen", f"127.0.0.1:{port + 10 + id_}"]
        command += ["--id", str(id_), "--generate", "50", "--generate-members", "3", *options]
        command += ["--status", status] if id_ == 1 else []
        nodes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    until = time.monotonic() + PATIENCE_S
    heard = 0
    while heard < 150 and time.monotonic() < until:
        # Generated messages are not text: what counts is that a line came for each.
        line = nodes[0].stdout.readline()
        heard += "view" not in line
    asked = subprocess.run([vs, "status", status, "--json", *options[:2]], capture_output=True, text=True, check=True)
    for node in nodes:
        node.send_signal(signal.SIGTERM)
    for node in nodes:
        node.communicate(timeout=PATIENCE_S)
    time.sleep(1)
    shark.send_signal(signal.SIGINT)
    shark.wait(PATIENCE_S)
    return path, port, asked.stdout


def try_nodes(vs, place):
    said = []
    for name, options in (("plain", []), ("sealed", ["--key-file", str(place / "KEY")])):
        if options:
            subprocess.run([vs, "keygen", options[1]], check=True)
        path, port, asked = capture(vs, place, name, options)
        is_clean(path)
        ours = f"udp.port == {port} || udp.port == {port + 1}"
        protocols = Counter(line[0] for line in dissect(path, ["_ws.col.Protocol"], ours))
        # What is neither is a trial of a socket: 16 random bytes, or zeroes.
        others = [line[0] for line in dissect(path, ["udp.payload"], f"({ours}) && !vs && !vsb")]
        assert all(len(payload) == 32 or not payload.strip("0") for payload in others), others[:5]
        assert set(protocols) <= {"vs", "vsb", "UDP"} and protocols["vsb"], protocols
        all_kinds = dissect(path, ["vs.kind"], f"vs && udp.port == {port}")
        kinds = Counter(kind for (of_packet,) in all_kinds for kind in of_packet.split(","))
        ours = f"vsm && tcp.port >= {port + 11} && tcp.port <= {port + 13}"
        frames = dissect(path, ["_ws.col.Info"], ours)
        assert frames, "no connection to a server was seen"
        if options:
            assert set(kinds) == {""}, f"a kind is seen though it is sealed: {kinds}"
            assert all("sealed" in info or "preamble" in info for (info,) in frames), frames[:5]
        else:
            assert {"1", "2", "4", "5"} <= set(kinds), kinds
            told = Counter(kind for (all_,) in dissect(path, ["vsm.kind"], ours) for kind in all_.split(","))
            for kind in ("2", "6", "16", "17", "18"):
                assert told[kind], f"no frame of kind {kind}: {told}"
            # The node that was asked says how many packets it has sent in this view.
            group = json.loads(asked)["node"]["groups"]["first"][0]
            rank = [member["process"] for member in group["members"]["first"]].index(1)
            shown = dissect(path, ["vs.view", "vs.data.packet"], f"udp.port == {port} && vs.kind == 1 && vs.data.origin == {rank}")
            # Several datagrams may be in one packet of the capture.
            packets = {pair for views, packets in shown for pair in zip(views.split(","), packets.split(","))}
            views = Counter(view for view, _ in packets)
            assert group["counters"]["sent"] in views.values(), (group["counters"]["sent"], views)
        said.append(f"{name}: {sum(protocols.values())} datagrams, {len(frames)} segments")
    return said


def main():
    vs = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        print(f"{try_samples(place)} golden samples are dissected")
        for line in try_nodes(vs, place):
            print(line)


if __name__ == "__main__":
    main()
