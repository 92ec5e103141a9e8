#!/usr/bin/env python3
"""Changes the first mailbox of a running emulator through its Graph interface, as a mail client would.

    mailbox.py ACCOUNT.toml COUNT     adds COUNT messages, marks COUNT as read, deletes COUNT
"""

import json
import sys
import tomllib
import urllib.parse
import urllib.request


def call(method, url, body=None, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    if isinstance(body, bytes):
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def main():
    with open(sys.argv[1], "rb") as file:
        account = tomllib.load(file)
    count = int(sys.argv[2])
    form = {
        "grant_type": "client_credentials",
        "client_id": account["app_id"],
        "client_secret": account["client_secret"],
        "scope": "https://graph.microsoft.com/.default",
    }
    login = f"{account['login_url'].rstrip('/')}/{account['directory_id']}/oauth2/v2.0/token"
    token = call("POST", login, urllib.parse.urlencode(form).encode())["access_token"]
    base = account["graph_url"].rstrip("/")
    base = base if base.endswith("/v1.0") else base + "/v1.0"
    user = call("GET", f"{base}/users?$top=1", token=token)["value"][0]["id"]
    box = f"{base}/users/{user}"
    known = call("GET", f"{box}/messages?$top={2 * count}&$select=id", token=token)["value"]
    if len(known) < 2 * count:
        sys.exit(f"error: asked for {2 * count} messages, got {len(known)}")
    for number in range(count):
        message = {"subject": f"New message {number}", "body": {"contentType": "text", "content": f"Text {number}. " * 20}}
        call("POST", f"{box}/mailFolders/inbox/messages", message, token)
        call("PATCH", f"{box}/messages/{known[2 * number]['id']}", {"isRead": True}, token)
        call("DELETE", f"{box}/messages/{known[2 * number + 1]['id']}", token=token)


main()
