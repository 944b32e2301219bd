// Says so if the page cannot start: while its skeleton stands, nothing has begun. Old words, for old browsers.
function failed() {
  var words = document.querySelector('#skeleton .verdict');
  if (words) {
    words.textContent = 'This page could not start. It needs WebAssembly with SIMD, which browsers have had since 2023: '
      + 'update yours, or check the connection, and load it again.';
    words.setAttribute('role', 'alert');
  }
}
addEventListener('error', failed, true);
addEventListener('unhandledrejection', failed);
