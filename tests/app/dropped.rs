//! URLs extracted from dropped, pasted or typed text and HTML.

use otjr::app::domain::image_url::{ImageUrl, decode_data_url, fetch_error, image_urls};

fn web(address: &str) -> ImageUrl {
    ImageUrl::Web(address.into())
}

#[test]
fn the_list_comes_first_then_the_image_in_the_html_then_the_text() {
    let html = r#"<meta charset="utf-8"><a href="https://a.example/page"><IMG data-src='x' alt="1 > 0" Src="https://b.example/p.jpg?a=1&amp;b=2"></a>"#;
    let all = image_urls("# from a page\r\nhttps://a.example/page\r\n", html, "https://c.example/\n");
    assert_eq!(all, [web("https://a.example/page"), web("https://b.example/p.jpg?a=1&b=2"), web("https://c.example/")]);
    let same = image_urls("https://a.example/p.png", "", " https://a.example/p.png ");
    assert_eq!(same, [web("https://a.example/p.png")]);
}

#[test]
fn html_is_read_as_browsers_write_it() {
    for (html, source) in [
        ("<img src=https://a.example/p.png>", Some("https://a.example/p.png")),
        ("<img\n  class='x'\tsrc = 'http://a.example/p.png' />", Some("http://a.example/p.png")),
        ("<img/src=\"//a.example/p.png\">", Some("https://a.example/p.png")),
        (
            "<img alt><p src=https://no.example/><img src='https://a.example/&#x26;&#38;&quot;'>",
            Some("https://a.example/&&\""),
        ),
        ("<imgur src='https://a.example/'>", None),
        ("<img alt='unfinished", None),
        ("<img src='relative.png'>", None),
        ("<img = == / src>", None),
        ("<img", None),
        ("ä<img ö=ü src=https://a.example/ß.png>", Some("https://a.example/ß.png")),
        ("<img src='javascript:alert(1)'>", None),
    ] {
        assert_eq!(image_urls("", html, ""), Vec::from_iter(source.map(web)), "{html}");
    }
    let inline = image_urls("", "<img src='data:image/png;base64,AAAA'>", "");
    assert_eq!(inline, [ImageUrl::Data("data:image/png;base64,AAAA".into())]);
}

#[test]
fn text_is_an_address_only_if_it_is_nothing_else() {
    for text in
        ["", "hello", "see https://a.example/p.png there", "file:///etc/passwd", "blob:https://a/b", "https://", "ä"]
    {
        assert_eq!(image_urls("", "", text), [], "{text}");
    }
    assert_eq!(ImageUrl::parse_typed(" a.example/p.png "), Some(web("https://a.example/p.png")));
    assert_eq!(ImageUrl::parse_typed("http://127.0.0.1:8000/p.png"), Some(web("http://127.0.0.1:8000/p.png")));
    for text in ["cat", "javascript:a.b", "a b.c", "ftp://a.example/p.png"] {
        assert_eq!(ImageUrl::parse_typed(text), None, "{text}");
    }
}

#[test]
fn images_are_named_after_their_address() {
    for (address, name) in [
        ("https://a.example/b/my%20cat.jpg?size=3#x", "my cat.jpg"),
        ("https://a.example/", "a.example"),
        ("https://a.example", "a.example"),
        ("https://a.example/albums/", "albums"),
    ] {
        assert_eq!(web(address).name(), name);
    }
    assert!(web(&format!("https://a.example/{}", "ß".repeat(500))).name().len() < 200);
}

#[test]
fn data_addresses_hold_bytes() {
    for (address, bytes) in [
        ("data:image/png;base64,iVBORw0KGgo=", &b"\x89PNG\r\n\x1a\n"[..]),
        ("data:image/png;base64,iVBORw0KGgo", b"\x89PNG\r\n\x1a\n"),
        ("data:image/png;BASE64,iVBO\n Rw0KGgo%3D", b"\x89PNG\r\n\x1a\n"),
        ("data:;base64,_-8=", &[0xff, 0xef]),
        ("data:,a%20b", b"a b"),
        ("data:image/png;base64,", b""),
    ] {
        assert_eq!(decode_data_url(address).as_deref(), Ok(bytes), "{address}");
    }
    for damaged in ["data:image/png;base64", "data:;base64,A", "data:;base64,AA*A", "data:;base64,A=AA"] {
        assert!(decode_data_url(damaged).unwrap_err().contains("damaged"), "{damaged}");
    }
}

#[test]
fn an_address_that_gives_nothing_says_why_and_what_to_do() {
    for (why, part) in [
        ("status 404", "status 404"),
        ("type text/html", "text/html, not an image"),
        ("type ", "no content type"),
        ("size 64", "larger than 64 MB"),
        ("time", "in time"),
        ("refused", "does not allow other pages"),
    ] {
        let text = fetch_error("https://a.example/p.png", why);
        assert!(text.starts_with("https://a.example/p.png could not be fetched"), "{text}");
        assert!(text.contains(part), "{text}");
        assert!(text.contains("drop the file"), "{text}");
        assert!(text.contains("paste"), "{text}");
    }
}
