"""A picture: drawn, saved, and shown to a model that describes it."""

import rawchat

paths = rawchat.image("A lighthouse at night, as a woodcut", size="1024x1024").save(
    "lighthouse.png"
)
print("saved", *paths)

question = [{"type": "text", "text": "What do you see?"}, rawchat.image_part(paths[0])]
print(rawchat.chat([{"role": "user", "content": question}]).text)
