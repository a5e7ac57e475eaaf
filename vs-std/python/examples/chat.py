"""A chat: what is typed in one is printed in all. chat.py [INTERFACE [ID [GROUP]]]; an empty line
leaves."""

import asyncio
import sys

import vs


async def typed(group: vs.Group) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while (line := (await reader.readline()).strip()):
        await group.asend(line)
    group.begin_leave()


async def chat(interface: str = "127.0.0.1", id: str = "0", group_name: str = "chat") -> None:
    async with vs.Group(group_name, interface=interface, id=int(id)) as group:
        typing = asyncio.create_task(typed(group))
        async for event in group:
            if isinstance(event, vs.Message):
                print(f"{event.sender}: {event.payload.decode(errors='replace')}", flush=True)
            elif isinstance(event, vs.View):
                members, came = (" ".join(map(str, s)) for s in (event.members, event.transitional))
                print(f"view {event.id[0]}, members {members}, together with {came}", flush=True)
            elif isinstance(event, (vs.DetachedEvent, vs.Unanswered)):
                print(event, file=sys.stderr)
        await typing


if __name__ == "__main__":
    asyncio.run(chat(*sys.argv[1:4]))
