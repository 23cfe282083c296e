"""Pages for the house: HTML in French that communications officers, the DPO and auditors open in a browser.

``document``  the frame and the style that all of them share: no script, nothing loaded, light and dark, phone, printer
``words``     how codes of the model are said in French
``sheets``    what there is to say of one segment, and how it looks
``index``     the index of a preview
"""
