//! A figure that draws a chart at the size of its box and saves it as SVG, PNG or CSV.

use leptos::{html::Div, prelude::*};
use wasm_bindgen::{JsCast, prelude::Closure};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{HtmlCanvasElement, HtmlImageElement, ResizeObserver};

use crate::app::{
    browser::{dom, files},
    chart::{Chart, standalone_svg},
};

/// Pixels of a saved PNG for each CSS pixel.
const PNG_SCALE: f32 = 2.0;

/// Shows a chart. The shape of the box is fixed by style/chart.css and by `class`, so that nothing moves when the chart
/// appears. Hidden while there is no chart.
#[component]
pub fn ChartFigure(
    #[prop(into)] chart: Signal<Option<Chart>>,
    id: &'static str,
    #[prop(optional)] class: &'static str,
) -> impl IntoView {
    let area = NodeRef::<Div>::new();
    let size = observed_size(area);
    let drawing = Memo::new(move |_| {
        let [width, height] = size.get();
        chart.with(|c| match c {
            Some(chart) if width > 0.0 => chart.svg(width, height),
            _ => String::new(),
        })
    });
    let save = move |kind: &'static str| {
        let Some(chart) = chart.get_untracked() else { return };
        let name = format!("{}.{kind}", chart.name);
        let svg = standalone_svg(&drawing.get_untracked());
        match kind {
            "svg" => files::download(&files::data_url("image/svg+xml", &svg), &name),
            "csv" => files::download(&files::data_url("text/csv", &chart.csv()), &name),
            _ => spawn_local(save_png(svg, size.get_untracked().map(|pixels| pixels * PNG_SCALE), name)),
        }
    };
    let title = move || chart.with(|c| c.as_ref().map_or(String::new(), |chart| chart.title.clone()));
    let button = move |kind: &'static str| {
        let label = move || format!("Save the chart “{}” as {}", title(), kind.to_uppercase());
        view! { <button aria-label=label on:click=move |_| save(kind)>{kind.to_uppercase()}</button> }
    };
    view! {
        <figure class=format!("plot {class}") id=id hidden=move || chart.with(Option::is_none)>
            <div class="drawing" node_ref=area inner_html=move || drawing.get()></div>
            <p class="save"><span aria-hidden="true">"Save as"</span>{["svg", "png", "csv"].map(button)}</p>
        </figure>
    }
}

/// The current size of an element in CSS pixels.
fn observed_size(element: NodeRef<Div>) -> RwSignal<[f32; 2]> {
    let size = RwSignal::new([0.0f32; 2]);
    Effect::new(move |_| {
        let Some(element) = element.get() else { return };
        let measured = element.clone();
        let measure = Closure::<dyn FnMut()>::new(move || {
            size.set([measured.client_width() as f32, measured.client_height() as f32])
        });
        let Ok(observer) = ResizeObserver::new(measure.as_ref().unchecked_ref()) else { return };
        observer.observe(&element);
        // The closure must live as long as the observer.
        let observer = StoredValue::new_local((observer, measure));
        on_cleanup(move || {
            observer.try_with_value(|(observer, _)| observer.disconnect());
        });
    });
    size
}

/// Saves a standalone SVG as a PNG file of `width` times `height` pixels.
async fn save_png(svg: String, [width, height]: [f32; 2], name: String) {
    let Ok(image) = HtmlImageElement::new() else { return };
    image.set_src(&files::data_url("image/svg+xml", &svg));
    if JsFuture::from(image.decode()).await.is_err() {
        return;
    }
    let Ok(canvas) = dom::document().create_element("canvas") else { return };
    let canvas: HtmlCanvasElement = canvas.unchecked_into();
    canvas.set_width(width as u32);
    canvas.set_height(height as u32);
    if let Some(context) = dom::canvas_context(&canvas) {
        let (width, height) = (f64::from(width), f64::from(height));
        let _ = context.draw_image_with_html_image_element_and_dw_and_dh(&image, 0.0, 0.0, width, height);
        files::download_canvas(&canvas, &name);
    }
}
