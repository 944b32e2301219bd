// Shows a message if the page cannot start, that is if an error occurs while the placeholder is visible. The syntax is old,
// because old browsers must run it.
function failed() {
  var message = document.querySelector('#skeleton .verdict');
  if (message) {
    message.textContent = 'This page could not start. It needs WebAssembly with SIMD, which all browsers support since 2023. '
      + 'Update your browser or check the connection, then reload the page.';
    message.setAttribute('role', 'alert');
  }
}
addEventListener('error', failed, true);
addEventListener('unhandledrejection', failed);
