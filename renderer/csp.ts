/**
 * Lives with the page's policy: style elements carry the nonce, style attributes go through the CSSOM.
 *
 * @spec   CSP Level 3: style-src governs style elements and style attributes, not the CSSOM
 * @cover  #Y libraries that create style elements or set the style attribute at run time (the terminal does both)
 * @differ none
 */
export function cspNonce(): string {
  return document.querySelector('meta[name="acrn-csp-nonce"]')?.getAttribute('content') ?? '';
}

/** Call once, before any library renders. */
export function adaptToPolicy(nonce: string): void {
  const createElement = document.createElement.bind(document);
  document.createElement = ((tag: string, options?: ElementCreationOptions) => {
    const element = createElement(tag, options);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  }) as typeof document.createElement;

  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (this: Element, name: string, value: string): void {
    if (name === 'style' && this instanceof HTMLElement) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}
