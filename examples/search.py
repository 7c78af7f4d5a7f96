"""A search by meaning: the text whose embedding is closest to that of the question, though they share no word.

With the local model (python -m rawchat.local) it prints:

    money and the economy: Interest rates rose again, and the banks are worried. (0.89)
    how do I bake a cake?: Add two eggs, flour and a pinch of salt, then stir. (0.91)
    travel by rail to Italy: The train to Rome leaves at nine from platform four. (0.93)
"""

import math

import rawchat

NOTES = [
    "The cat sleeps on the warm windowsill.",
    "Interest rates rose again, and the banks are worried.",
    "Add two eggs, flour and a pinch of salt, then stir.",
    "The train to Rome leaves at nine from platform four.",
    "Her guitar was out of tune all evening.",
]
QUESTIONS = ["money and the economy", "how do I bake a cake?", "travel by rail to Italy"]

# A chat model ends a text where the next word would say what it is about; a model made for embeddings needs no frame.
FRAME = 'This sentence: "{}" means in one word: "'


def embed(texts: list[str]) -> list[list[float]]:
    """Return the vectors of texts, each of length 1."""
    vectors = rawchat.embed([FRAME.format(text) for text in texts], batch_size=100).embeddings
    return [[number / math.hypot(*vector) for number in vector] for vector in vectors]


def similarity(first: list[float], second: list[float]) -> float:
    """Return the cosine of the angle between two vectors of length 1: 1 for the same direction."""
    return sum(a * b for a, b in zip(first, second))


notes = embed(NOTES)
for question, vector in zip(QUESTIONS, embed(QUESTIONS)):
    closeness = [similarity(vector, note) for note in notes]
    best = max(range(len(NOTES)), key=closeness.__getitem__)
    print(f"{question}: {NOTES[best]} ({closeness[best]:.2f})")
