"""The real proxies, started once for each module that asks for them."""

from .programs import guarded as guarded
from .programs import proxy as proxy
