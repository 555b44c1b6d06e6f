"""The page for a person whose address has no valid key: in words, and what to do. Pure.

Programs get JSON; a browser that opens a page says that it wants a page.
"""

from __future__ import annotations

from html import escape
from typing import Final

from aiohttp import web

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Forerun · no valid key · 密钥无效</title>
  <link rel="stylesheet" href="/static/shared/tokens.css">
  <link rel="stylesheet" href="/static/shared/base.css">
  <style>
    main {{ max-width: 44rem; margin: 10vh auto; padding: 1rem; }}
    main p {{ margin: 0.75rem 0; }}
    main div {{ margin: 2rem 0; }}
  </style>
</head>
<body>
  <main>
    <h1>This page does not open with that key</h1>
    <p>The key is missing, not complete, withdrawn, or made for another page.</p>
    <p><strong>What to do:</strong> open the whole address that you were given, up to its last
    character. If it does not open either, ask who runs this service for a new one. Until then use
    another seat, or the telephone.</p>
    <div lang="zh-CN">
      <h1>此密钥无法打开本页面</h1>
      <p>密钥缺失、不完整、已撤销，或属于其他页面。</p>
      <p><strong>怎么办：</strong>请完整打开您收到的网址，不要漏掉最后的字符。如果仍打不开，请向系统管理员索取新的网址。
      在此之前请使用其他席位或电话。</p>
    </div>
    <p><small>{detail}</small></p>
  </main>
</body>
</html>
"""


def wants_page(request: web.Request) -> bool:
    """Whether a browser asks for a page to show, and not a script or a program for data."""
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def no_entry(detail: str) -> web.Response:
    """Return the page, with status 401.

    Args:
        detail: Why, as programs are told; shown small, for whoever is asked for help.
    """
    text = _PAGE.format(detail=escape(detail))
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=401)
