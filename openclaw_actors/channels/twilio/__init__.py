"""What Twilio says and how: webhooks, their signatures, TwiML. No sockets, no clock."""

from __future__ import annotations

__all__: list[str] = []
