"""Asyncio: conversations at the same time, each with its own memory."""

import asyncio

from rawchat.aio import AsyncClient


async def talk(client, name):
    history = client.history(system="Answer in one sentence.", max_tokens=1000)
    await history.ask(f"My name is {name}.")
    return "".join([piece async for piece in history.stream("What is my name?")])


async def main():
    names = ["Ann", "Bob"]
    async with AsyncClient(max_tokens=40) as client:
        for name, answer in zip(
            names, await asyncio.gather(*(talk(client, name) for name in names))
        ):
            print(f"{name} hears: {answer}")


asyncio.run(main())
