"""The console's page, as far as a gateway sees it: what a browser sends with its requests, and the cookies it keeps."""

from http.cookies import SimpleCookie
from typing import Any, Final

import httpx2

# What a browser says of a request that a script of the console sends.
SAME_ORIGIN: Final = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
TOUCHED: Final = {"x-argosy-console": "1"}


class Page:
    """One browser at one gateway. `cookies`: what it keeps, by name; hand the same to another gateway's page."""

    def __init__(self, client: httpx2.AsyncClient, cookies: dict[str, str] | None = None) -> None:
        self.client = client
        self.cookies = {} if cookies is None else cookies
        self.given: list[str] = []

    async def ask(self, method: str, path: str, *, is_touched: bool = True, **given: Any) -> httpx2.Response:
        """What a script of the page is answered. is_touched: somebody uses the page now."""
        headers = SAME_ORIGIN | (TOUCHED if is_touched or method != "GET" else {}) | given.pop("headers", {})
        return await self.ask_plainly(method, path, headers=headers, **given)

    async def ask_plainly(self, method: str, path: str, *, headers: dict[str, str], **given: Any) -> httpx2.Response:
        """The same, with these headers alone, and the cookies."""
        if self.cookies:
            headers = headers | {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        self.client.cookies.clear()
        answer = await self.client.request(method, path, headers=headers, **given)
        for field in answer.headers.get_list("set-cookie"):
            self._keep(field)
        return answer

    async def sign_in(self, token: str, **more: str) -> httpx2.Response:
        return await self.ask("POST", "/v1/login", json={"token": token, **more})

    async def code(self, path: str = "/v1/whoami", *, is_touched: bool = True) -> str:
        """The code with which a question is refused; `good` if it is not."""
        answer = await self.ask("GET", path, is_touched=is_touched)
        return "good" if answer.status_code == 200 else str(answer.json()["code"])

    def _keep(self, field: str) -> None:
        self.given.append(field)
        for name, morsel in SimpleCookie(field).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
