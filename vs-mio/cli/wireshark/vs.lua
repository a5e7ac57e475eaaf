-- Shows what `vs` sends, in Wireshark and tshark: datagrams between processes (vs), beacons of
-- membership servers (vsb), connections to and between servers (vsm). The page `wire` of the manual
-- has the formats. Of what is sealed, what stands in the clear is shown.
--
-- Use: tshark -X lua_script:vs.lua, or copy it into the folder for personal Lua plugins.

local DATAGRAM_VERSION, STREAM_VERSION = 2, 3
local HEADER, SEALED_BIT, FRAME_MAX = 32, 0x8000, 262144

local KINDS = {
  [1] = "data", [2] = "acknowledgement", [3] = "report of gaps", [4] = "heartbeat",
  [5] = "sync message", [6] = "request for sync messages", [7] = "who hears multicasts",
  [8] = "length of datagrams", [9] = "message to one member",
}
local FRAMES = {
  [1] = "client", [2] = "server", [3] = "attach", [4] = "leave", [5] = "accuse", [6] = "ping",
  [7] = "turned down", [8] = "status request", [16] = "links", [17] = "clients", [18] = "proposal",
  [19] = "accusation", [20] = "about", [21] = "ask", [22] = "tell", [32] = "start_change",
  [33] = "new view", [34] = "detached", [35] = "refused", [36] = "new profile",
  [48] = "status answer", [128] = "gone", [129] = "silence",
}
local SCOPES = { [1] = "incarnation", [2] = "view", [3] = "incarnation, for one receiver" }

local vs = Proto("vs", "vs: group communication, datagram")
local vsb = Proto("vsb", "vs: beacon of a membership server")
local vsm = Proto("vsm", "vs: connection to a membership server")

local f = {
  version = ProtoField.uint8("vs.version", "Version"),
  key = ProtoField.uint8("vs.key", "Id of the key"),
  rank = ProtoField.uint16("vs.rank", "Rank of the transmitter"),
  scope = ProtoField.uint8("vs.scope", "Scope of the key", base.DEC, SCOPES),
  group = ProtoField.uint64("vs.group", "Group key, or selector", base.HEX),
  view = ProtoField.uint64("vs.view", "Fingerprint of the view, or selector", base.HEX),
  counter = ProtoField.uint64("vs.counter", "Counter of the transmitter"),
  kind = ProtoField.uint8("vs.kind", "Kind", base.DEC, KINDS),
  to_group = ProtoField.bool("vs.to_group", "To the whole group", 8, nil, 0x80),
  flags = ProtoField.uint8("vs.flags", "Flags of the kind", base.HEX, nil, 0x7f),
  sealed = ProtoField.bytes("vs.sealed", "Sealed content"),
  tag = ProtoField.bytes("vs.tag", "Tag"),
  origin = ProtoField.uint16("vs.data.origin", "Rank of the origin"),
  padding = ProtoField.uint16("vs.data.padding", "Bytes of padding"),
  seq = ProtoField.uint64("vs.data.packet", "Packet number"),
  stable = ProtoField.uint64("vs.stable", "Stable up to"),
  body = ProtoField.bytes("vs.data.body", "Body"),
  first = ProtoField.uint16("vs.ack.first", "First rank"),
  count = ProtoField.uint16("vs.count", "Entries"),
  received = ProtoField.uint64("vs.ack.received", "Received up to"),
  credit = ProtoField.uint64("vs.ack.credit", "Room up to"),
  target = ProtoField.uint16("vs.target", "Rank of the target"),
  from = ProtoField.uint64("vs.nak.from", "Missing from"),
  upto = ProtoField.uint64("vs.nak.upto", "Missing up to"),
  highest = ProtoField.uint64("vs.heartbeat.highest", "Highest packet"),
  major = ProtoField.uint64("vs.view_id.major", "View id, major"),
  minor = ProtoField.uint64("vs.view_id.minor", "View id, minor"),
  process = ProtoField.uint64("vs.process", "Process"),
  asked = ProtoField.uint64("vs.target_process", "Process that it is for"),
  millis = ProtoField.uint64("vs.sync.incarnation", "Incarnation, in ms"),
  nonce = ProtoField.uint64("vs.sync.nonce", "Nonce of the incarnation", base.HEX),
  cid = ProtoField.uint64("vs.sync.cid", "Cid"),
  bytes = ProtoField.uint32("vs.path.bytes", "Length of the probe"),
  message = ProtoField.bytes("vs.direct.message", "Message"),
}
vs.fields = f
local fb = {
  version = ProtoField.uint16("vsb.version", "Version"),
  key = ProtoField.uint8("vsb.key", "Id of the key"),
  server = ProtoField.uint64("vsb.server", "Server"),
  boot = ProtoField.uint64("vsb.boot", "Boot value, in ms"),
  port = ProtoField.uint16("vsb.port", "Port"),
  ipv4 = ProtoField.ipv4("vsb.ipv4", "Address"),
  ipv6 = ProtoField.ipv6("vsb.ipv6", "Address"),
  deployment = ProtoField.string("vsb.deployment", "Deployment"),
  sealed = ProtoField.bytes("vsb.sealed", "Sealed beacon"),
}
vsb.fields = fb
local fm = {
  version = ProtoField.uint16("vsm.version", "Version", base.DEC, nil, 0x7fff),
  sealed = ProtoField.bool("vsm.sealed", "All behind it is sealed", 16, nil, SEALED_BIT),
  length = ProtoField.uint32("vsm.length", "Length"),
  kind = ProtoField.uint8("vsm.kind", "Kind", base.DEC, FRAMES),
  fields = ProtoField.bytes("vsm.fields", "Fields"),
  bytes = ProtoField.bytes("vsm.sealed_bytes", "Handshake, or sealed records"),
}
vsm.fields = fm

local malformed = ProtoExpert.new("vs.malformed", "This is no datagram of this version",
  expert.group.MALFORMED, expert.severity.ERROR)
vs.experts = { malformed }
local no_frame = ProtoExpert.new("vsm.malformed", "This is no frame of this version",
  expert.group.MALFORMED, expert.severity.ERROR)
vsm.experts = { no_frame }

-- A number of seven bits a byte, the least first. Answers it, and where it ends.
local function varint(buffer, at)
  local value, shift = UInt64.new(0), 0
  while at < buffer:len() and shift < 64 do
    local byte = buffer(at, 1):uint()
    value = value:bor(UInt64.new(bit.band(byte, 0x7f)):lshift(shift))
    at, shift = at + 1, shift + 7
    if byte < 0x80 then return value, at end
  end
  return nil, at
end

local function pairs_of(buffer, tree, at, one, other, step)
  while at + step <= buffer:len() do
    tree:add_le(one, buffer(at, 8))
    tree:add_le(other, buffer(at + 8, 8))
    at = at + step
  end
end

-- The content of each kind. Each answers the shortest length that it can have.
local CONTENT = {
  [1] = { 56, function(b, tree)
    tree:add_le(f.origin, b(34, 2))
    tree:add_le(f.padding, b(36, 2))
    tree:add_le(f.seq, b(40, 8))
    tree:add_le(f.stable, b(48, 8))
    if b:len() > 56 then tree:add(f.body, b(56)) end
    return " packet " .. tostring(b(40, 8):le_uint64()) .. " of rank " .. b(34, 2):le_uint()
  end },
  [2] = { 40, function(b, tree)
    tree:add_le(f.first, b(34, 2))
    tree:add_le(f.count, b(36, 2))
    pairs_of(b, tree, 40, f.received, f.credit, 16)
    return ""
  end },
  [3] = { 40, function(b, tree)
    tree:add_le(f.origin, b(34, 2))
    tree:add_le(f.target, b(36, 2))
    tree:add_le(f.count, b(38, 2))
    pairs_of(b, tree, 40, f.from, f.upto, 16)
    return " of rank " .. b(34, 2):le_uint()
  end },
  [4] = { 72, function(b, tree)
    tree:add_le(f.highest, b(40, 8))
    tree:add_le(f.stable, b(48, 8))
    tree:add_le(f.major, b(56, 8))
    tree:add_le(f.minor, b(64, 8))
    return " up to packet " .. tostring(b(40, 8):le_uint64())
  end },
  [5] = { 41, function(b, tree)
    local at = 40
    for _, field in ipairs({ f.process, f.millis, f.nonce, f.cid, f.major, f.minor }) do
      local value, past = varint(b, at)
      if not value then return nil end
      tree:add(field, b(at, past - at), value)
      at = past
    end
    return ""
  end },
  [6] = { 41, function(b, tree)
    local process, past = varint(b, 40)
    if not process then return nil end
    tree:add(f.process, b(40, past - 40), process)
    return ""
  end },
  [7] = { 56, function(b, tree)
    tree:add_le(f.process, b(40, 8))
    tree:add_le(f.asked, b(48, 8))
    return ""
  end },
  [8] = { 40, function(b, tree)
    tree:add_le(f.target, b(34, 2))
    tree:add_le(f.bytes, b(36, 4))
    return ", " .. b(36, 4):le_uint() .. " bytes"
  end },
  [9] = { 40, function(b, tree)
    tree:add_le(f.target, b(34, 2))
    if b:len() > 40 then tree:add(f.message, b(40)) end
    return ""
  end },
}

local function header(buffer, tree)
  tree:add(f.version, buffer(2, 1))
  tree:add(f.key, buffer(3, 1))
  tree:add_le(f.rank, buffer(4, 2))
  if buffer(3, 1):uint() ~= 0 then tree:add(f.scope, buffer(6, 1)) end
  tree:add_le(f.group, buffer(8, 8))
  tree:add_le(f.view, buffer(16, 8))
  tree:add_le(f.counter, buffer(24, 8))
end

function vs.dissector(buffer, pinfo, root)
  pinfo.cols.protocol = "vs"
  local tree = root:add(vs, buffer())
  local function bad()
    tree:add_proto_expert_info(malformed)
    pinfo.cols.info = "malformed datagram"
    return buffer:len()
  end
  if buffer(2, 1):uint() ~= DATAGRAM_VERSION then
    tree:add(f.version, buffer(2, 1))
    pinfo.cols.info = "datagram of version " .. buffer(2, 1):uint()
    return buffer:len()
  end
  if buffer:len() < HEADER + 2 then return bad() end
  header(buffer, tree)
  if buffer(3, 1):uint() ~= 0 then
    if buffer:len() < HEADER + 2 + 16 then return bad() end
    tree:add(f.sealed, buffer(HEADER, buffer:len() - HEADER - 16))
    tree:add(f.tag, buffer(buffer:len() - 16, 16))
    pinfo.cols.info = "sealed with key " .. buffer(3, 1):uint()
    return buffer:len()
  end
  local kind = buffer(32, 1):uint()
  tree:add(f.kind, buffer(32, 1))
  tree:add(f.to_group, buffer(33, 1))
  tree:add(f.flags, buffer(33, 1))
  local content = CONTENT[kind]
  if not content or buffer:len() < content[1] then return bad() end
  local words = content[2](buffer, tree)
  if not words then return bad() end
  local whom = bit.band(buffer(33, 1):uint(), 0x80) ~= 0 and ", to the group" or ", to one member"
  pinfo.cols.info = KINDS[kind] .. words .. whom
  return buffer:len()
end

function vsb.dissector(buffer, pinfo, root)
  pinfo.cols.protocol = "vsb"
  local tree = root:add(vsb, buffer())
  tree:add_le(fb.version, buffer(4, 2))
  if buffer(4, 2):le_uint() ~= STREAM_VERSION or buffer:len() < 32 then
    pinfo.cols.info = "beacon of another version"
  elseif buffer(3, 1):uint() == 1 then
    tree:add(fb.key, buffer(6, 1))
    tree:add(fb.sealed, buffer(32))
    pinfo.cols.info = "beacon, sealed with key " .. buffer(6, 1):uint()
  else
    tree:add_le(fb.server, buffer(8, 8))
    tree:add_le(fb.boot, buffer(16, 8))
    tree:add_le(fb.port, buffer(24, 2))
    if buffer(26, 1):uint() == 6 then tree:add(fb.ipv6, buffer(32, 16)) else tree:add(fb.ipv4, buffer(32, 4)) end
    local length = buffer(7, 1):uint()
    if buffer:len() >= 48 + length then tree:add(fb.deployment, buffer(48, length)) end
    pinfo.cols.info = "beacon of server " .. tostring(buffer(8, 8):le_uint64())
  end
  return buffer:len()
end

-- Streams that are sealed, by the number that tshark gives them.
local sealed_streams, stream_of = {}, Field.new("tcp.stream")

function vsm.dissector(buffer, pinfo, root)
  pinfo.cols.protocol = "vsm"
  local tree, at, said = root:add(vsm, buffer()), 0, {}
  local stream = stream_of().value
  if buffer:len() >= 4 and buffer(0, 4):string() == "VSM\0" then
    if buffer:len() < 6 then
      pinfo.desegment_offset, pinfo.desegment_len = 0, 6 - buffer:len()
      return
    end
    tree:add_le(fm.version, buffer(4, 2))
    tree:add_le(fm.sealed, buffer(4, 2))
    local version = buffer(4, 2):le_uint()
    if bit.band(version, SEALED_BIT) ~= 0 then sealed_streams[stream] = true end
    said[1], at = "preamble of version " .. bit.band(version, 0x7fff), 6
  end
  if sealed_streams[stream] then
    if at < buffer:len() then
      tree:add(fm.bytes, buffer(at))
      said[#said + 1] = "sealed, " .. buffer:len() - at .. " bytes"
    end
    pinfo.cols.info = table.concat(said, ", ")
    return buffer:len()
  end
  while at < buffer:len() do
    local there = buffer:len() - at
    local length = there >= 4 and buffer(at, 4):le_uint() or 0
    if length > FRAME_MAX or there >= 4 and length == 0 then
      tree:add_proto_expert_info(no_frame)
      return buffer:len()
    end
    if there < 4 or there < 4 + length then
      pinfo.desegment_offset = at
      pinfo.desegment_len = there < 4 and DESEGMENT_ONE_MORE_SEGMENT or 4 + length - there
      break
    end
    local frame = tree:add(vsm, buffer(at, 4 + length), "Frame")
    frame:add_le(fm.length, buffer(at, 4))
    frame:add(fm.kind, buffer(at + 4, 1))
    if length > 1 then frame:add(fm.fields, buffer(at + 5, length - 1)) end
    local kind = buffer(at + 4, 1):uint()
    said[#said + 1] = FRAMES[kind] or "frame of kind " .. kind
    at = at + 4 + length
  end
  pinfo.cols.info = table.concat(said, ", ")
  return buffer:len()
end

-- Where each datagram begins. A capture on the host of the sender may show several in one, before the
-- system cuts them (GSO): each begins with what the first one begins with, and counts on.
local function starts(buffer)
  local found = { 0 }
  if buffer:len() < 2 * HEADER then return found end
  local raw, at = buffer:raw(), 1
  local same, counter = raw:sub(1, 24), buffer(24, 8):le_uint64()
  while true do
    counter = counter + 1
    local next = raw:find(same .. Struct.pack("<E", counter), at + HEADER, true)
    if not next then return found end
    found[#found + 1], at = next - 1, next
  end
end

vs:register_heuristic("udp", function(buffer, pinfo, root)
  if buffer:len() < 4 or buffer(0, 2):string() ~= "VS" or buffer(2, 1):uint() > 0x20 then return false end
  local found = starts(buffer)
  for i, at in ipairs(found) do
    vs.dissector(buffer(at, (found[i + 1] or buffer:len()) - at):tvb(), pinfo, root)
  end
  return true
end)
vsb:register_heuristic("udp", function(buffer, pinfo, root)
  if buffer:len() < 6 or buffer(0, 3):string() ~= "VSB" or buffer(3, 1):uint() > 1 then return false end
  vsb.dissector(buffer, pinfo, root)
  return true
end)
vsm:register_heuristic("tcp", function(buffer, pinfo, root)
  if buffer:len() < 4 or buffer(0, 4):string() ~= "VSM\0" then return false end
  -- What follows on this connection begins with no word of its own.
  pinfo.conversation = vsm
  vsm.dissector(buffer, pinfo, root)
  return true
end)
