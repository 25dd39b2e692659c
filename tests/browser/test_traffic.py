"""The page about live traffic in a real Chromium."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from curation.models import ApiKey, Project


def test_a_lead_makes_a_key_sees_it_once_and_revokes_it(page: Page, project: Project) -> None:
    page.goto(f"/p/{project.slug}/guards/")
    page.get_by_role("link", name="Live traffic and keys").click()
    page.get_by_label("What will use it").fill("chat front")
    page.get_by_role("button", name="Make a key").click()

    expect(page.get_by_text("Copy it now")).to_be_visible()
    secret = page.locator("[data-secret]").inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert ApiKey.objects.of(secret) is not None
    page.goto(f"/p/{project.slug}/guards/live/")
    assert secret not in page.content()

    page.get_by_role("button", name="Revoke chat front").click()

    expect(page.get_by_text("revoked", exact=True)).to_be_visible()
    assert ApiKey.objects.of(secret) is None
