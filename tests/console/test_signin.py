"""What a person does where tokens are required: on a real gateway, in a real browser."""

from selenium.webdriver.common.by import By

from argosy.identity.api_token import TokenKind, mint
from argosy.identity.scopes import Role
from tests.console.browser import Browser, Console
from tests.console.guarded import ADMIN, Guarded, sign_in


def kept_anywhere(browser: Browser, token: str) -> bool:
    """Whether the page has the token where it outlives it, or where another script or a reader finds it."""
    everything = browser.run(
        """
        const databases = await indexedDB.databases();
        const shown = (name) => { try { return JSON.stringify(window[name]) ?? ""; } catch { return ""; } };
        return [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, location.href,
          JSON.stringify(history.state), JSON.stringify(databases), document.documentElement.outerHTML,
          ...[...document.querySelectorAll("input, textarea")].map((field) => field.value),
          ...Object.keys(window).map(shown),
        ].join("\\n");
        """
    )
    return token in str(everything)


def test_who_signs_in_sees_their_own_and_the_token_is_kept_nowhere(
    guarded_console: Console, guarded: Guarded, session: str
) -> None:
    console, browser = guarded_console, guarded_console.browser
    turn_id = guarded.post(guarded.acme, session)
    console.open_turn(turn_id)

    sign_in(browser, guarded.acme)

    console.status("completed")
    assert browser.text("#who") == "acme · tenant"
    assert session in browser.until_text(session, "#sessions")
    assert not kept_anywhere(browser, guarded.acme)

    browser.click("Sign out")
    browser.until_text("This gateway asks for a token", "main")
    assert browser.text("#who") == ""
    assert session not in browser.text("body")

    sign_in(browser, guarded.other)
    browser.until_text("other · tenant", "#who")
    browser.until_text("No session yet", "#sessions")
    browser.until_text("There is no such turn", "main")

    browser.open("about:blank")
    console.open_turn(turn_id)  # loaded again, it is the same login
    browser.until_text("other · tenant", "#who")
    (cookie,) = browser.driver.get_cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("argosy", True, "Strict")
    assert not kept_anywhere(browser, cookie["value"])


def test_a_bad_token_is_said_and_another_one_can_be_tried(guarded_console: Console, guarded: Guarded) -> None:
    console, browser = guarded_console, guarded_console.browser
    browser.resize(400, 800)  # it is there in a narrow window, too
    console.open("?login=tenant_unknown#/")  # as a provider's sign-in ends that lets nobody in
    browser.until_text("a tenant that does not exist here", "form .problem")
    assert browser.driver.current_url == f"{console.url}/#/"

    for token, said in (("", "Token is missing"), ("two words", "characters that no token has")):
        sign_in(browser, token)
        browser.until_text(said, "form .problem")
    sign_in(browser, mint(TokenKind.TENANT))
    browser.until_text("The token is not good", "form .problem")
    assert browser.driver.find_element(By.CSS_SELECTOR, "input[type=password]").get_attribute("value") == ""

    sign_in(browser, guarded.acme)
    browser.until_text("acme · tenant", "#who")
    browser.resize(1280, 900)


def test_an_administrator_names_the_tenant_to_act_for(guarded_console: Console, guarded: Guarded, session: str) -> None:
    console, browser = guarded_console, guarded_console.browser
    guarded.post(guarded.acme, session)
    console.open()

    sign_in(browser, ADMIN, "nobody")
    browser.until_text("There is no such tenant", "form .problem")
    sign_in(browser, ADMIN, "acme")

    browser.until_text("acme · ", "#who")
    assert session in browser.until_text(session, "#sessions")


def test_a_token_that_is_revoked_while_somebody_watches_leads_back_to_the_sign_in(
    guarded_console: Console, guarded: Guarded, session: str
) -> None:
    console, browser = guarded_console, guarded_console.browser
    token = guarded.token("acme")
    turn_id = guarded.post(token, session)
    console.open_turn(turn_id)
    sign_in(browser, token)
    console.status("completed")

    guarded.revoke(token)

    browser.until_text("This gateway asks for a token", "main")
    assert session not in browser.text("#sessions")


def test_who_signs_out_is_gone_in_every_page_and_the_way_back_shows_nothing(
    guarded_console: Console, guarded: Guarded, session: str
) -> None:
    console, browser = guarded_console, guarded_console.browser
    turn_id = guarded.post(guarded.acme, session)
    console.open()
    sign_in(browser, guarded.acme)
    first = browser.driver.current_window_handle
    browser.driver.switch_to.new_window("tab")
    console.open_session(session)  # the browser's other page has the login, too
    browser.until_text("nothing waits", "main")
    browser.run("location.hash = given[0]", f"#/turns/{turn_id}")
    console.status("completed")

    browser.click("Sign out")
    browser.until_text("This gateway asks for a token", "main")
    browser.driver.back()
    browser.until_text("This gateway asks for a token", "main")
    assert session not in browser.text("body")
    assert browser.driver.get_cookies() == []

    browser.driver.close()
    browser.driver.switch_to.window(first)
    browser.until_text("This gateway asks for a token", "main")
    assert browser.text("#who") == ""


def test_what_one_has_no_right_to_is_hidden_or_said_with_the_scope(
    guarded_console: Console, guarded: Guarded, session: str
) -> None:
    console, browser = guarded_console, guarded_console.browser
    turn_id = guarded.post(guarded.acme, session)
    console.open_turn(turn_id)
    sign_in(browser, guarded.token("acme", Role.VIEWER))
    console.status("completed")

    assert browser.text("#who") == "acme · viewer"
    shown = browser.text("body")
    assert not any(each in shown for each in ("New turn", "Shards", "Post again", "Cancel"))

    console.open("#/shards")
    browser.until_text("fleet:read", ".problem")
    browser.click("Sign out")
    sign_in(browser, guarded.acme)
    browser.until_text("New turn", "header")
