"""What a refusal says."""

import httpx2


def problem(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def challenge(answer: httpx2.Response) -> str:
    return str(answer.headers["www-authenticate"])
