try {
  const scheme = localStorage.getItem("bursar.scheme")
  if (scheme === "light" || scheme === "dark") document.documentElement.dataset.scheme = scheme
} catch {
  // Without storage the page follows the system.
}
