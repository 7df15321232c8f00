"""moto: a server that speaks many of Amazon's services and checks credentials and policies, which the others do not.

Its queues lose messages when several requests come at once, and its streams never end a shard that was split: it serves for
what is about rights alone.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from goconductor.testing.loopback import LOOPBACK, free_port
from tests.servers.child import Child, SingleServer, answers

POLICY_NAME = "goconductor"


class MotoServer(SingleServer):
    """A single server on loopback. Every method blocks; what it has is in memory.

    Args:
        policy: what its users may do, as an IAM policy document.
    """

    def __init__(self, policy: dict[str, Any]) -> None:
        self.port = free_port()
        self._policy = json.dumps(policy)
        self._keys: dict[str, tuple[str, str]] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="goconductor-moto-"))
        self.child = Child(
            "moto",
            folder=self.folder,
            command=[sys.executable, "-m", "moto.server", "--host", LOOPBACK, "--port", str(self.port)],
            ready=lambda: answers(self.port),
        )

    def start(self) -> None:
        super().start()
        self._check_credentials(True)

    @property
    def endpoint_url(self) -> str:
        """Where all services are."""
        return f"http://{LOOPBACK}:{self.port}"

    def url_of(self, user: str, password: str) -> str:
        """Where somebody comes in; a user that was added has keys, anybody else shows what was given."""
        access_key, secret_key = self._keys.get(user, (user, password))
        return f"http://{quote(access_key, safe='')}:{quote(secret_key, safe='')}@{LOOPBACK}:{self.port}"

    def add_user(self, user: str) -> None:
        """Let somebody in, or in again."""
        with self._unchecked() as iam:
            if user not in self._keys:
                iam.create_user(UserName=user)
                key = iam.create_access_key(UserName=user)["AccessKey"]
                self._keys[user] = key["AccessKeyId"], key["SecretAccessKey"]
            iam.put_user_policy(UserName=user, PolicyName=POLICY_NAME, PolicyDocument=self._policy)

    def add_role(self, role: str, user: str) -> str:
        """Give a role the rights of users, and let somebody who has none assume it.

        Returns:
            the role's ARN.
        """
        self.add_user(user)
        self.remove_user(user)
        may_assume = {"Effect": "Allow", "Action": ["sts:AssumeRole"]}
        by_anybody, any_role = {**may_assume, "Principal": {"AWS": "*"}}, {**may_assume, "Resource": "*"}
        with self._unchecked() as iam:
            made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_document(by_anybody))["Role"]
            iam.put_role_policy(RoleName=role, PolicyName=POLICY_NAME, PolicyDocument=self._policy)
            iam.put_user_policy(UserName=user, PolicyName=POLICY_NAME, PolicyDocument=_document(any_role))
        return str(made["Arn"])

    def remove_user(self, user: str) -> None:
        """Let somebody do nothing more."""
        with self._unchecked() as iam:
            iam.delete_user_policy(UserName=user, PolicyName=POLICY_NAME)

    @contextlib.contextmanager
    def _unchecked(self) -> Iterator[Any]:
        from botocore.session import Session

        self._check_credentials(False)
        session = Session()
        session.set_credentials("admin", "admin")
        iam = session.create_client("iam", region_name="us-east-1", endpoint_url=self.endpoint_url)
        try:
            yield iam
        finally:
            iam.close()
            self._check_credentials(True)

    def _check_credentials(self, check: bool) -> None:
        request = urllib.request.Request(
            f"{self.endpoint_url}/moto-api/reset-auth",
            data=b"0" if check else b"inf",
            headers={"Content-Type": "text/plain"},
        )
        with urllib.request.urlopen(request, timeout=300):
            pass


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
