"""A long conversation: only the newest turns are sent, and a summary stands for those before."""

import rawchat

history = rawchat.History(system="Answer in one sentence.", max_messages=5)
for topic in ("apples", "bridges", "clouds", "drums"):
    history.ask(f"Tell me about {topic}.", max_tokens=20)
print(f"{len(history)} messages are kept, {len(history.window())} are in the window")

history.summarise(keep=1, max_tokens=40)
print(f"now {len(history)} are kept:")
for message in history:
    print(f"  {message['role']}: {message['content']}")
