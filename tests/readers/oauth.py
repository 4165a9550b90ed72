"""Logs in and refreshes with somebody else's OAuth2 clients, and tells as JSON what each found.

oauth.py requests|authlib SITE EMAIL PASSWORD
"""

import json
import os
import sys

# The site is plain HTTP on this machine.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"


def with_requests(site, email, password):
    from oauthlib.oauth2 import LegacyApplicationClient
    from oauthlib.oauth2.rfc6749.errors import InvalidGrantError
    from requests_oauthlib import OAuth2Session

    session = OAuth2Session(client=LegacyApplicationClient(client_id="a client"))
    login = site + "/api/auth/login"
    refresh = site + "/api/auth/refresh_token"
    first = dict(session.fetch_token(login, username=email, password=password))
    second = dict(session.refresh_token(refresh))
    status = session.get(site + "/api/users/me").status_code
    try:
        session.refresh_token(refresh, refresh_token="x")
        dead = None
    except InvalidGrantError as error:
        dead = error.error
    # A token that has expired is refreshed by itself, by the time that it was given.
    kept = []
    expired = dict(second, expires_at=1)
    by_itself = OAuth2Session(
        "a client", token=expired, auto_refresh_url=refresh, token_updater=kept.append
    )
    again = by_itself.get(site + "/api/users/me").status_code
    return first, second, kept[0], [status, again], dead


def with_authlib(site, email, password):
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.requests_client import OAuth2Session

    refresh = site + "/api/auth/refresh_token"
    kept = []
    session = OAuth2Session(
        "a client", "a secret", token_endpoint=refresh, update_token=lambda token, **_: kept.append(token)
    )
    first = dict(session.fetch_token(site + "/api/auth/login", username=email, password=password))
    second = dict(session.refresh_token(refresh))
    status = session.get(site + "/api/users/me").status_code
    kept.clear()
    session.token = dict(second, expires_at=1)
    again = session.get(site + "/api/users/me").status_code
    try:
        session.refresh_token(refresh, refresh_token="x")
        dead = None
    except OAuthError as error:
        dead = error.error
    return first, second, dict(kept[0]), [status, again], dead


def main():
    which, site, email, password = sys.argv[1:]
    client = {"requests": with_requests, "authlib": with_authlib}[which]
    first, second, third, statuses, dead = client(site, email, password)
    json.dump([{"first": first, "second": second, "third": third, "statuses": statuses, "dead": dead}], sys.stdout)


main()
