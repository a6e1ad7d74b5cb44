"""`manage.py issue_token USERNAME`: an API token, printed once and kept only as a hash.

May import: knox, `patients.models`.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from knox.models import AuthToken

from patients.models import User


class Command(BaseCommand):
    help = "Print a new API token of a user: curl -H 'Authorization: Token …'. It is valid for 90 days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, username: str, **options: Any) -> str:
        try:
            user = User.objects.get_by_natural_key(username)
        except User.DoesNotExist:
            raise CommandError(f"There is no user named {username!r}.") from None
        if not user.is_active:
            raise CommandError(f"The user {username!r} is deactivated. Activate the account first.")
        _, token = AuthToken.objects.create(user)
        return str(token)
