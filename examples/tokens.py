"""Watching tokens: an estimate before, the server's count after, and what all of it would cost."""

import rawchat

PRICES = {
    "prompt": 0.15,
    "cached": 0.075,
    "completion": 0.60,
}  # dollars per million tokens; look yours up

meter = rawchat.Meter()
history = rawchat.History(rawchat.Client(on_reply=meter))
for question in ("What is a token?", "And how many of them are in a book?"):
    guess = sum(map(history.sizes, history)) + rawchat.history.tokens.count_text(question)
    usage = history.ask(question, max_tokens=40).usage or {}
    print(
        f"about {guess:.0f} tokens, really {usage.get('prompt_tokens')}, and {usage.get('completion_tokens')} back"
    )
print(f"{meter.usage.total} tokens, ${meter.usage.cost(PRICES):.6f}")
