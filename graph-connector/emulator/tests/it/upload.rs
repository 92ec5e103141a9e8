//! Upload sessions of attachments.

use nakivo_graph_emulator::Emulator;
use serde_json::json;

use crate::client::{Answer, Client, send};

async fn put(c: &Client, url: &str, first: usize, bytes: &[u8], total: usize) -> Answer {
    let range = format!("bytes {first}-{}/{total}", first + bytes.len() - 1);
    let request = c
        .http
        .put(url)
        .header("Content-Range", range)
        .header("Content-Type", "application/octet-stream")
        .body(bytes.to_vec());
    send(request).await
}

#[tokio::test]
async fn a_session_from_end_to_end() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let id = c.draft("big").await;
    let content: Vec<u8> = (0..9_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let create = format!("{me}/messages/{id}/attachments/createUploadSession");
    let item =
        json!({"AttachmentItem": {"attachmentType": "file", "name": "flower.bin", "size": content.len()}});
    let session = c.post(&create, &item).await.expect(201).json();
    assert_eq!(session["nextExpectedRanges"], json!(["0-"]));
    let url = session["uploadUrl"].as_str().expect("a url");
    assert!(url.starts_with(c.emulator.outlook_url()) && !url.starts_with(c.emulator.login_url()));

    let authorised = c
        .http
        .put(url)
        .bearer_auth(&c.token)
        .header("Content-Range", "bytes 0-0/9000000")
        .body("x");
    send(authorised).await.expect(401);
    const MB4: usize = 4 * 1024 * 1024;
    put(&c, url, 0, &content[..MB4 + 1], content.len())
        .await
        .expect(413);
    put(&c, url, MB4, &content[MB4..MB4 + 10], content.len())
        .await
        .expect(416);
    put(&c, url, 0, &content[..10], content.len() + 1)
        .await
        .expect(400);
    let first = put(&c, url, 0, &content[..MB4], content.len())
        .await
        .expect(200)
        .json();
    assert_eq!(
        first["NextExpectedRanges"],
        json!([MB4.to_string()]),
        "a bare number"
    );
    assert!(first["ExpirationDateTime"].is_string());
    put(&c, url, 0, &content[..MB4], content.len()).await.expect(416);
    let state = send(c.http.get(url)).await.expect(200).json();
    assert_eq!(state["NextExpectedRanges"], json!([MB4.to_string()]));
    put(&c, url, MB4, &content[MB4..2 * MB4], content.len())
        .await
        .expect(200);
    let last = put(&c, url, 2 * MB4, &content[2 * MB4..], content.len())
        .await
        .expect(201);
    assert!(last.body.is_empty());
    let location = last.header("location").expect("a location").to_owned();
    let attachment = location
        .rsplit("Attachments('")
        .next()
        .expect("an id")
        .trim_end_matches("')")
        .to_owned();
    put(&c, url, 0, &content[..10], content.len()).await.expect(404);

    let back = c
        .get(&format!("{me}/messages/{id}/attachments/{attachment}/$value"))
        .await
        .expect(200);
    assert!(back.body == content, "the bytes come back");
    let mime = c.get(&format!("{me}/messages/{id}/$value")).await.expect(200);
    assert!(mime.body.len() > content.len() * 4 / 3);
    assert_eq!(
        c.emulator.mailboxes()[0].mime(&id).expect("mime").as_ref(),
        mime.body.as_slice()
    );
}

#[tokio::test]
async fn sessions_that_are_refused() {
    let c = Client::start(Emulator::builder().users(1)).await;
    let me = c.me();
    let id = c.draft("big").await;
    let create = format!("{me}/messages/{id}/attachments/createUploadSession");
    for (item, status) in [
        (
            json!({"AttachmentItem": {"attachmentType": "file", "name": "x", "size": 2_999_999}}),
            400,
        ),
        (
            json!({"AttachmentItem": {"attachmentType": "file", "name": "x", "size": 150_000_001}}),
            413,
        ),
        (
            json!({"AttachmentItem": {"attachmentType": "item", "name": "x", "size": 4_000_000}}),
            400,
        ),
        (
            json!({"AttachmentItem": {"attachmentType": "file", "size": 4_000_000}}),
            400,
        ),
        (json!({}), 400),
    ] {
        c.post(&create, &item).await.expect(status);
    }
    let item = json!({"AttachmentItem": {"attachmentType": "file", "name": "x", "size": 4_000_000}});
    let url = c.post(&create, &item).await.expect(201).json()["uploadUrl"]
        .as_str()
        .expect("url")
        .to_owned();
    send(c.http.delete(&url)).await.expect(204);
    put(&c, &url, 0, &[1; 10], 4_000_000).await.expect(404);
    let url = c.post(&create, &item).await.expect(201).json()["uploadUrl"]
        .as_str()
        .expect("url")
        .to_owned();
    c.emulator.advance(std::time::Duration::from_secs(6 * 3600));
    put(&c, &url, 0, &[1; 10], 4_000_000).await.expect(404);
}
