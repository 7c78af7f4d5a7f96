"""Many streams at once, in a process of its own: `python bench/streams.py WHO COUNT BASE_URL` prints a line of JSON.

WHO is rawchat (AsyncClient), sdk (AsyncOpenAI) or aiohttp (as one writes it alone: json.loads, nothing merged).
"""

import asyncio
import json
import sys
import time
from typing import Any

from many_server import COUNT, raise_file_limit
from measure import MESSAGES, PATH, peak

TEXT = "".join(f" word{number}" for number in range(COUNT))


async def by_rawchat(url: str, count: int) -> list[Any]:
    from rawchat.aio import AsyncClient

    async with AsyncClient(base_url=url, api_key="sk-1", model="m", environ={}) as client:

        async def read() -> str:
            text = ""
            async with client.stream_chat(MESSAGES) as stream:
                async for chunk in stream:
                    text += chunk.text
            return text

        return await gather(read, count)


async def by_sdk(url: str, count: int) -> list[Any]:
    import openai

    async with openai.AsyncOpenAI(base_url=url, api_key="sk-1") as client:

        async def read() -> str:
            text = ""
            stream = await client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
            return text

        return await gather(read, count)


async def by_aiohttp(url: str, count: int) -> list[Any]:
    import aiohttp

    body = {"model": "m", "messages": MESSAGES, "stream": True}
    headers = {"Authorization": "Bearer sk-1"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def read() -> str:
            text = ""
            async with session.post(url + PATH, json=body) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
            return text

        return await gather(read, count)


async def gather(read: Any, count: int) -> list[Any]:
    """Read so many streams at once; return their texts, and the exceptions of those that failed."""
    return await asyncio.gather(*(read() for _ in range(count)), return_exceptions=True)


def main(who: str, count: int, url: str) -> dict[str, float]:
    """Return the seconds, the CPU seconds, the errors, and the KiB of memory for each stream."""
    raise_file_limit()
    together = {"rawchat": by_rawchat, "sdk": by_sdk, "aiohttp": by_aiohttp}[who]
    asyncio.run(together(url, 1))  # imports, and what is made at the first use
    memory, cpu, start = peak(), time.process_time(), time.perf_counter()
    texts = asyncio.run(together(url, count))
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "errors": sum(1 for text in texts if text != TEXT),
        "memory": (peak() - memory) * 1024 / count,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
